-- Sends the requests of a file in turn and prints what came of them as one line of JSON.
-- Arguments: the file, whose requests end with a byte of value 1, and "statuses" to count them.

local requests, next_one = {}, 0
local threads = {}
counts = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  for one in file:read("*a"):gmatch("[^\1]+") do
    requests[#requests + 1] = one
  end
  file:close()
  if args[2] == "statuses" then
    response = function(status)
      local name = tostring(status)
      counts[name] = (counts[name] or 0) + 1
    end
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency)
  local statuses = {}
  for _, thread in ipairs(threads) do
    for name, count in pairs(thread:get("counts")) do
      statuses[#statuses + 1] = string.format('"%s": %d', name, count)
    end
  end
  local failed = summary.errors
  io.write(string.format(
    '\n{"seconds": %f, "requests": %d, "errors": %d, "p50": %f, "p95": %f, "p99": %f, "statuses": {%s}}\n',
    summary.duration / 1e6,
    summary.requests,
    failed.status + failed.connect + failed.read + failed.write + failed.timeout,
    latency:percentile(50) / 1e3,
    latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3,
    table.concat(statuses, ", ")
  ))
end
