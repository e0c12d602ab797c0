/// The version that `/health` shows where AGENT_RUNTIME__VERSION does not say otherwise.
let buildVersion = "0.1.0"
