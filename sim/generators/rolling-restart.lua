-- Every node in turn is stopped and comes back, as an upgrade does it.
about [[
A rolling restart: every node in turn is stopped and comes back, replicas first, under load.
Whoever hurries (a short pause) restarts the next node before the last one is in step again.]]

local masters = param("masters", 3, "how many masters")
local down    = param("down", "8s", "how long each node is away")
local pause   = param("pause", "12s", "how long to wait between two nodes")
local power   = param("power", false, "pull the plug instead of ending the process")

seed(11)
cluster { masters = masters, replicas = 1, node_timeout = "2s" }
at("0s", "net * latency 400us jitter 200us dist lognormal split 2%")
at("4s", "client c1 rate 100/s keys zipf(500,1.1) mix set:50,get:50")
expect("4s", "converge within 4s")

local now = us("10s")
local function restart(node)
    say(now, "%s is restarted.", node)
    at(now, power and "crash %s power" or "crash %s", node)
    at(now + us(down), "restart %s", node)
    now = now + us(down) + us(pause)
end

for i = 1, masters do restart("n" .. masters + i) end
for i = 1, masters do restart("n" .. i) end

expect(now, "converge within 10s")
expect(now, "slots covered within 10s")
at(now + us("15s"), "stop c1")
expect(now + us("15s"), "lost_acks <= 0 cause alive")
