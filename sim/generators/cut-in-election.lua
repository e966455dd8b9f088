-- A partition at any moment of an election: sweep `moment` over its course.
about [[
The master n1 loses its power. At a chosen moment of the election that follows, the replica that
stands for it is cut off from some of the voters, and comes back later. Ask for each moment in turn:
  for ms in 0 200 400 600 800 1000; do shoal-sim run cut-in-election.lua moment=${ms}ms; done]]

local moment = param("moment", "500ms", "when the cut begins, after n1 is held for failed")
local length = param("length", "3s", "how long it lasts")
local voters = param("voters", 1, "from how many of the two voters n4 is cut off")
local oneway = param("oneway", false, "lose only what the voters send to n4")

seed(7)
cluster { masters = 3, replicas = 1, node_timeout = "2s" }
config("*", "repl-diskless-sync-delay 0")
at("0s", "net * latency 500us jitter 200us dist lognormal split 2%")
expect("6s", "copies equal on n4..n6 within 4s")
at("10s", "crash n1 power")

-- The first node that holds n1 for failed tells all others: from then on n4 may ask for votes.
when("fail", { about = "n1", limit = 1 }, function(event)
    local cut = event.time + us(moment) + 1
    for i = 2, 1 + voters do
        if oneway then at(cut, "cut n%d -> n4", i) else at(cut, "cut n%d | n4", i) end
    end
    at(cut + us(length), "heal *")
end)

expect("10s", "role master on n4 within 40s")
expect("50s", "converge within 10s")
expect("60s", "failovers == 1")
