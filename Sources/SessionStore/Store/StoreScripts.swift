import RedisClient

/// The protocol's scripts, as they were embedded into the binary.
enum StoreScripts {
    static let beginStep = RedisScript(name: "begin_step", source: PackageResources.begin_step_lua)
    static let appendEvents = RedisScript(name: "append_events", source: PackageResources.append_events_lua)
    static let logEvents = RedisScript(name: "log_events", source: PackageResources.log_events_lua)
    static let commitStep = RedisScript(name: "commit_step", source: PackageResources.commit_step_lua)
    static let takeOver = RedisScript(name: "take_over", source: PackageResources.take_over_lua)
    static let releaseStep = RedisScript(name: "release_step", source: PackageResources.release_step_lua)
    static let forgetEntries = RedisScript(name: "forget_entries", source: PackageResources.forget_entries_lua)
    static let deleteSession = RedisScript(name: "delete_session", source: PackageResources.delete_session_lua)

    static let rewind = RedisScript(name: "rewind", source: PackageResources.rewind_lua)
    static let claimPlace = RedisScript(name: "claim_place", source: PackageResources.claim_place_lua)
    static let readState = RedisScript(name: "read_state", source: PackageResources.read_state_lua)

    static let all = [
        beginStep, appendEvents, logEvents, commitStep, takeOver, releaseStep, forgetEntries, deleteSession, rewind,
        claimPlace, readState,
    ]
}
