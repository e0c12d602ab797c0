/// The version that `/health` shows unless AGENT_RUNTIME__VERSION names another one.
let buildVersion = "0.1.0"
