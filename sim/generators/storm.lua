-- A storm: chance decides which faults come, when and to whom. Every seed is another storm.
about [[
A storm of faults under load, then silence in which the cluster must come to rest. Every kind of
fault has a random stream of its own, so that more crashes do not move the cuts.]]

local masters = param("masters", 3, "how many masters")
local length  = param("length", "40s", "how long the storm lasts")
local crashes = param("crashes", 3, "how many nodes lose their power")
local cuts    = param("cuts", 4, "how many pairs of nodes are cut from each other")
local stalls  = param("stalls", 6, "how many ways stall")
local pauses  = param("pauses", 2, "how many processes stop for a while, or are slow")
local frames  = param("frames", 3, "how many frames of the bus are lost")
local oddities = param("oddities", 3, "how many connects are refused, connections die, hosts clog")

cluster { masters = masters, replicas = 1, node_timeout = "2s" }
local calm = us("8s")

local nodes = {}
for i = 1, 2 * masters do nodes[i] = "n" .. i end

-- Some moment of the storm, in milliseconds, so that schedules read well.
local function moment(chance)
    return calm + chance:below(us(length) / 1000) * 1000
end

-- Some time between two, in milliseconds too.
local function span(chance, least, most)
    return math.floor(chance:between(least, most) / 1000) * 1000
end

local function pair(chance)
    local order = chance:shuffle(nodes)
    return order[1], order[2]
end

at("0s", "net * latency 400us jitter 300us dist lognormal split 5%")
at("5s", "client c1 rate 100/s keys zipf(300,1.1) mix set:50,get:50 timeout 1s")
expect("5s", "converge within 3s")

local chance = random("crashes")
for i = 1, crashes do
    local t, node = moment(chance), chance:pick(nodes)
    at(t, "crash %s power disk %s", node, chance:pick { "kept", "torn", "lost" })
    at(t + span(chance, "1s", "9s"), "restart %s", node)
end

chance = random("cuts")
for i = 1, cuts do
    local t, a, b = moment(chance), pair(chance)
    local joint = chance:chance(50) and "|" or "->"
    at(t, "cut %s %s %s", a, joint, b)
    at(t + span(chance, "500ms", "8s"), "heal %s %s %s", a, joint, b)
end

chance = random("stalls")
for i = 1, stalls do
    local t, a, b = moment(chance), pair(chance)
    at(t, "stall %s -> %s for %s", a, b, time(span(chance, "100ms", "3s")))
end

chance = random("pauses")
for i = 1, pauses do
    local t, node = moment(chance), chance:pick(nodes)
    local for_how_long = span(chance, "200ms", "5s")
    if chance:chance(50) then
        at(t, "busy %s for %s", node, time(for_how_long))
    else
        at(t, "slow %s by %d", node, 10 * (1 + chance:below(50)))
        at(t + for_how_long, "slow %s off", node)
    end
end

chance = random("frames")
for i = 1, frames do
    local kind = chance:pick { "ping", "pong", "fail", "auth_request", "auth_ack", "update" }
    at(moment(chance), "drop %s * -> %s", kind, chance:pick(nodes))
end

chance = random("oddities")
for i = 1, oddities do
    local t, a, b = moment(chance), pair(chance)
    local what = chance:pick { "refuse %s | %s", "strand %s | %s", "reset %s -> %s" }
    at(t, what, a, b)
    if chance:chance(30) then at(t, "swizzle * over %s", time(span(chance, "1s", "4s"))) end
end

local over = calm + us(length) + us("10s")
say(over, "The storm is over.")
at(over, "heal *")
at(over, "restart *")
expect(over, "converge within 30s")
expect(over, "slots covered within 30s")
at(over + us("30s"), "stop *")
expect(over + us("32s"), "lost_acks <= 0 cause alive")
