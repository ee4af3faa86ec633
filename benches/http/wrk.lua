-- What wrk sends, and one line of numbers at the end, for benches/http/run.
--
-- Without a function `request` wrk sends the same bytes over and over, which is its fastest way: for GET none is
-- defined. There is no function `response` either, so that wrk only counts statuses.

local scenario = os.getenv("SCENARIO")

if scenario == "post" then
   -- Every e-mail address is new. One thread of wrk has one counter.
   local sent = 0
   local headers = { ["content-type"] = "application/json" }
   function request()
      sent = sent + 1
      local body = string.format('{"name":"Ada Lovelace","email":"ada%08d@example.org"}', sent)
      return wrk.format("POST", "/api/v1/users", headers, body)
   end
end

local pause_ms = tonumber(os.getenv("PAUSE_MS") or "")
if pause_ms then
   -- Each connection rests before each request, so that a rate comes about and not the most there can be.
   function delay()
      return pause_ms
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format("numbers %.1f %.0f %.0f %.0f %.0f %d %d %d\n",
      summary.requests / (summary.duration / 1e6),
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
      summary.requests, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout))
end
