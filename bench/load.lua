-- What wrk sends: prepared requests from a file, one after another. Arguments: "poll" or "report"; the file; how many milliseconds pass, at the mean,
-- between two requests of one connection (0: as fast as it goes). One thread only.
local requests, at, pace, kind = {}, -1, 0, "" -- the first request that wrk asks for is never sent: it looks at its form
local again = 400 -- reports sent once more at the end, twice as many as there are connections: by then all have been answered the first time
wrong, spent = 0, 0
local worker

function setup(thread) worker = thread end

function init(args)
  kind = args[1]
  pace = tonumber(args[3])
  if pace > 0 then
    math.randomseed(1)
    delay = function() return math.floor(math.random() * 2 * pace + 0.5) end
  end
  for line in io.lines(args[2]) do
    local token, rest = line:match("^(%S+) (.+)$")
    if kind == "poll" then
      requests[#requests + 1] = wrk.format("GET", "/d/v1/state?root=1", { Authorization = "Bearer " .. token, ["If-None-Match"] = rest })
    else
      requests[#requests + 1] = wrk.format("POST", "/d/v1/report", { Authorization = "Bearer " .. token }, rest)
    end
  end
end

function request()
  at = at + 1
  if at == 0 then
    return requests[1]
  end
  if at > #requests then
    at = 1
    spent = spent + 1
  end
  return requests[at]
end

function response(status)
  if kind == "report" and spent > 0 and at > again then
    wrk.thread:stop()
  elseif status ~= (kind == "poll" and 304 or 200) then
    wrong = wrong + 1
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests": %d, "seconds": %.6f, "p99_ms": %.3f, "wrong": %d, "rounds": %d, "broken": %d}\n', summary.requests,
    summary.duration / 1e6, latency:percentile(99) / 1000, worker:get("wrong"), worker:get("spent"),
    errors.connect + errors.read + errors.write + errors.timeout))
end
