-- For wrk: GET requests for branches at random, and a line of JSON about them. From the environment: BENCH_PATH,
-- BENCH_FIRST and BENCH_LAST (the numbers after it), BENCH_KEY.

local path, key = os.getenv("BENCH_PATH"), os.getenv("BENCH_KEY")
local first, last = tonumber(os.getenv("BENCH_FIRST")), tonumber(os.getenv("BENCH_LAST"))
local head, tail

function init()
	math.randomseed(os.time())
	head = "GET " .. path
	tail = " HTTP/1.1\r\nHost: " .. wrk.host .. "\r\nAuthorization: Bearer " .. key .. "\r\n\r\n"
end

function request()
	return head .. math.random(first, last) .. tail
end

function done(summary, latency)
	local errors = summary.errors
	io.write(string.format(
		'{"requests":%d,"seconds":%f,"p50_us":%d,"p99_us":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}\n',
		summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), errors.connect,
		errors.read, errors.write, errors.timeout, errors.status))
end
