-- Whoever wins an election dies at once: the reaction knows when, no schedule by hand does.
about [[
A master loses its power. Whoever wins the election for its slots dies a moment later, and so on,
as often as there are replicas left. Each death is a reaction to the record that told of the win.]]

local replicas = param("replicas", 2, "how many replicas each master has")
local deaths   = param("deaths", 1, "how many winners die")
local moment   = param("moment", "10ms", "how long after its victory a winner lives")

seed(5)
cluster { masters = 3, replicas = replicas, node_timeout = "2s" }
config("*", "repl-diskless-sync-delay 0")
at("0s", "net * latency 500us jitter 200us dist lognormal split 2%")
at("7s", "client c1 rate 100/s keys uniform(500)")
expect("8s", "copies equal on n4..n%d within 4s", 3 + 3 * replicas)
say("14s", "n1 loses its power.")
at("14s", "crash n1 power")

-- step 2 of an election is its victory (docs/trace.md).
when("election", { step = 2, limit = deaths }, function(event)
    say("+1us", "%s has won, and dies %s later.", event.node, moment)
    at(event.time + us(moment), "crash %s power", event.node)
    at(event.time + us("20s"), "restart %s", event.node)
end)

at("55s", "restart n1")
expect("55s", "converge within 20s")
expect("55s", "slots covered within 20s")
at("80s", "stop c1")
expect("82s", "lost_acks <= 0 cause alive")
