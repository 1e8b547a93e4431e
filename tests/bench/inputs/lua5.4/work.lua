-- SPDX-License-Identifier: Apache-2.0
-- What scripts do all day: tables, strings, closures, methods, numbers. Usage: work.lua ROUNDS SEED

local rounds, seed = tonumber(arg[1]), tonumber(arg[2])

local function random()
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed
end

local function sorted(count)
  local numbers = {}
  for i = 1, count do numbers[i] = random() % 100000 end
  table.sort(numbers, function(a, b) return a > b end)
  return numbers[1] * 7 + numbers[count // 2]
end

local function words(count)
  local text, seen, kinds = {}, {}, 0
  for i = 1, count do text[i] = string.format("w%x", random() % 512) end
  for word in table.concat(text, " "):gmatch("%w+") do
    if not seen[word] then kinds = kinds + 1 end
    seen[word] = (seen[word] or 0) + #word
  end
  return kinds * 1000 + seen[text[1]]
end

local Tree = {}
Tree.__index = Tree

function Tree.new(depth)
  local self = setmetatable({value = random() % 1000}, Tree)
  if depth > 0 then self.left, self.right = Tree.new(depth - 1), Tree.new(depth - 1) end
  return self
end

function Tree:sum()
  return self.value + (self.left and self.left:sum() + self.right:sum() or 0)
end

local function queens(n)
  local columns, up, down, found = {}, {}, {}, 0
  local function place(row)
    if row > n then
      found = found + 1
      return
    end
    for column = 1, n do
      local a, b = row + column, row - column + n
      if not (columns[column] or up[a] or down[b]) then
        columns[column], up[a], down[b] = true, true, true
        place(row + 1)
        columns[column], up[a], down[b] = nil, nil, nil
      end
    end
  end
  place(1)
  return found
end

local function mandelbrot(size)
  local inside = 0
  for y = 0, size - 1 do
    for x = 0, size - 1 do
      local cr, ci, zr, zi, steps = 2.0 * x / size - 1.5, 2.0 * y / size - 1.0, 0.0, 0.0, 0
      while steps < 50 and zr * zr + zi * zi < 4.0 do
        zr, zi, steps = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci, steps + 1
      end
      if steps == 50 then inside = inside + 1 end
    end
  end
  return inside
end

local result = 0
for _ = 1, rounds do
  result = (result * 31 + sorted(6000) + words(12000) + Tree.new(12):sum() + queens(7) + mandelbrot(64)) % 1000000007
end
print(string.format("result %d", result))
