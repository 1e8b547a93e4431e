// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "seiche.h"

#include <stdexcept>
#include <string>

struct UsageError : std::runtime_error {
        using std::runtime_error::runtime_error;
};

struct Options {
        int size = 96;
        int steps = 3000;
        enum seiche_medium medium = SEICHE_HOMOGENEOUS;
        bool help = false;

        static Options parse(int argc, char **argv);
        static std::string usage();
};
