-- A third of the masters of a large cluster loses its power at once.
about [[
A third of the masters dies at once: their replicas need votes in as many epochs from the same
voters, and all nodes have to agree again.]]

local masters = param("masters", 15, "how many masters, each with a replica")
local timeout = param("timeout", "5s", "node timeout")

cluster { masters = masters, replicas = 1, node_timeout = timeout }
at("0s", "net * latency 500us jitter 200us dist lognormal")
expect("60s", "converge within 60s")
expect("60s", "slots covered within 60s")
at("120s", "crash n1..n%d power", math.floor(masters / 3))
expect("120s", "slots covered within 120s")
expect("240s", "converge within 60s")
at("300s", "end")
