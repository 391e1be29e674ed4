-- Health of a NexusCluster, Tenant or Template: the same file for the three kinds.
-- Progressing until the operator has looked at this generation and says Ready; Degraded only for what a person has to mend.
local health = { status = "Progressing", message = "Waiting for the operator to look at it" }
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "Being deleted"
  return health
end
if obj.status == nil or obj.status.conditions == nil then
  return health
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions) do
  conditions[condition.type] = condition
end

-- A paused object keeps the status it had, also when its spec is newer.
local paused = conditions["Paused"]
if paused ~= nil and paused.status == "True" then
  return { status = "Suspended", message = paused.message }
end
if obj.metadata.generation ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Waiting for the operator to look at generation " .. tostring(obj.metadata.generation)
  return health
end

local stalled = conditions["Stalled"]
if stalled ~= nil and stalled.status == "True" then
  return { status = "Degraded", message = stalled.reason .. ": " .. stalled.message }
end
local ready = conditions["Ready"]
if ready == nil then
  return health
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
health.message = ready.reason .. ": " .. ready.message
return health
