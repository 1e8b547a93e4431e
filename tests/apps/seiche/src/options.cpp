// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <charconv>
#include <string_view>

namespace
{

int number(std::string_view name, std::string_view text, int least, int most)
{
        int value = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size() || value < least ||
                value > most)
                throw UsageError(std::string(name) + " needs a number from " +
                                 std::to_string(least) + " to " + std::to_string(most) + ", not '" +
                                 std::string(text) + "'");
        return value;
}

} // namespace

Options Options::parse(int argc, char **argv)
{
        Options options;

        for (int i = 1; i < argc; i++) {
                std::string_view name = argv[i];
                if (name == "--help") {
                        options.help = true;
                        continue;
                }
                if (name != "--size" && name != "--steps" && name != "--medium")
                        throw UsageError("unknown option '" + std::string(name) + "'");
                if (i + 1 == argc)
                        throw UsageError(std::string(name) + " needs a value");
                std::string_view value = argv[++i];
                if (name == "--size")
                        options.size = number(name, value, 16, SEICHE_MAX_SIZE);
                else if (name == "--steps")
                        options.steps = number(name, value, 1, 1000000);
                else if (value == "homogeneous")
                        options.medium = SEICHE_HOMOGENEOUS;
                else if (value == "layered")
                        options.medium = SEICHE_LAYERED;
                else
                        throw UsageError("--medium is homogeneous or layered, not '" +
                                         std::string(value) + "'");
        }
        return options;
}

std::string Options::usage()
{
        return "usage: seiche [--size CELLS] [--steps N] [--medium homogeneous|layered]\n";
}
