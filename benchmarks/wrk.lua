-- Plays the requests of a file one after the other and ends with one line of JSON. Started by benchmarks/loads.py:
-- wrk -s wrk.lua URL -- FILE, where FILE holds whole requests with a NUL behind each.
local requests, position = {}, 0

function init(args)
    local file = assert(io.open(args[1], "rb"))
    for text in file:read("*a"):gmatch("[^%z]+") do
        requests[#requests + 1] = text
    end
    file:close()
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"answers":%d,"seconds":%.6f,"p99_ms":%.3f,"refused":%d,"broken":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
