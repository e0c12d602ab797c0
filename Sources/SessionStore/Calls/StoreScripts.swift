import RedisClient

/// The protocol's scripts. Each is declared beside what its calls are made from.
enum StoreScripts {
    /// All of them, as Redis gets them.
    static let all: [RedisScript] = [
        beginStep.script, appendEvents.script, logEvents.script, commitStep.script, takeOver.script, releaseStep.script,
        forgetEntries.script, deleteSession.script, rewind.script, claimPlace.script, readState.script, admit.script, settle.script,
    ]
}
