-- Links and processes that stall for a twentieth of the time, each for less than the node timeout.
about [[
Stalls under load that are shorter than the node timeout: nobody may be replaced. With
length=1h this is the hour that the eager profile has to stand.]]

local profile = param("profile", "shoal", "cluster-timing-profile of the nodes")
local length  = param("length", "5m", "how long it stalls")
local nodes   = 6

cluster { masters = 3, replicas = 1, node_timeout = "1s" }
config("*", "cluster-timing-profile %s", profile)
at("0s", "net * latency 500us jitter 200us dist lognormal split 2%")
expect("6s", "converge within 2s")
at("6s", "client c1 rate 100/s keys uniform(500) mix set:50,get:50 size 32 timeout 2s")

local chance = random("stalls")
local t, last = us("10s"), us("10s") + us(length)
while t < last do
    local lasts = chance:between(2, 8) * us("100ms")
    if chance:chance(55) then
        local node = "n" .. chance:between(1, nodes)
        at(t, "pause %s", node)
        at(t + lasts, "resume %s", node)
    else
        local a = chance:between(1, nodes)
        local b = (a + chance:between(1, nodes - 1) - 1) % nodes + 1
        at(t, "stall n%d | n%d for %s", a, b, time(lasts))
    end
    t = t + lasts + chance:between(6, 13) * us("100ms")
end

expect(last + us("4s"), "failovers == 0")
expect(last + us("4s"), "converge within 5s")
at(last + us("10s"), "end")
