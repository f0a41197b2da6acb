-- wrk: POST the lines of a file in turn; print the figures as JSON.
local bodies, at = {}, 0
function init(args)
  for line in io.lines(args[2]) do
    bodies[#bodies + 1] = wrk.format("POST", args[1], {["Content-Type"] = "application/json"}, line)
  end
end
function request()
  at = at % #bodies + 1
  return bodies[at]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"rps":%f,"p50_ms":%f,"p99_ms":%f,"bad":%d}\n',
    summary.requests, summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.timeout + e.status))
end
