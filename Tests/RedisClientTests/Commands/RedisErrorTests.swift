import Testing

@testable import RedisClient

@Suite("Redis errors")
struct RedisErrorTests {
    static let replies: [(text: String, code: RedisError.Code)] = [
        ("LOADING Redis is loading the dataset in memory", .loading),
        ("READONLY You can't write against a read only replica.", .readOnly),
        ("OOM command not allowed when used memory > 'maxmemory'.", .outOfMemory), ("TRYAGAIN Multiple keys request", .tryAgain),
        ("CLUSTERDOWN Hash slot not served", .clusterDown), ("MASTERDOWN Link with MASTER is down", .masterDown),
        ("NOSCRIPT No matching script. Please use EVAL.", .noScript), ("BUSY Redis is busy running a script.", .busy),
        ("NOAUTH Authentication required.", .notPermitted), ("WRONGPASS invalid username-password pair", .notPermitted),
        ("NOPERM User alice has no permissions", .notPermitted), ("NOREPLICAS Not enough good replicas to write.", .noReplicas),
        ("MOVED 3999 127.0.0.1:6381", .moved(slot: 3999, host: "127.0.0.1", port: 6381)),
        ("MOVED 0 redis.example.com:1", .moved(slot: 0, host: "redis.example.com", port: 1)),
        ("MOVED 16383 ::1:65535", .moved(slot: 16383, host: "::1", port: 65535)),
        ("MOVED 7 :6379", .moved(slot: 7, host: "", port: 6379)),
        ("ASK 3999 10.0.0.7:7000", .ask(slot: 3999, host: "10.0.0.7", port: 7000)),
        ("ERR unknown command", .reply("ERR")), ("WRONGTYPE Operation against a key", .wrongType), ("", .reply("")),
        (" ", .reply("")),
        ("loading", .reply("loading")), ("LOADINGX", .reply("LOADINGX")),
        ("BUSYGROUP Consumer Group name already exists", .reply("BUSYGROUP")),
    ]

    @Test("The code is the first word")
    func readsTheCodeFromTheFirstWord() {
        for (text, code) in Self.replies {
            let error = RedisError(reply: text)
            #expect(error.code == code, "\(text)")
            #expect(error.message == "Redis answered: \(text)")
            // Redis has replied with a refusal.
            #expect(!error.mayHaveBeenApplied)
        }
    }

    /// If a script failed after its first command, Redis names the script. The script's earlier
    /// writes remain.
    @Test(
        "Only an error of a script that began may mean a write",
        arguments: [
            ("ERR user_script:3: attempt to index a nil value script: 0a1b, on @user_script:3.", true),
            ("WRONGTYPE Operation against a key holding the wrong kind of value script: 0a1b, on @user_script:1.", true),
            ("ERR Wrong number of args calling Redis command from script script: 0a1b, on @user_script:9.", true),
            ("ERR The user executing the script can't run this command or subcommand script: 0a1b, on @user_script:2.", true),
            ("NOPERM User alice has no permissions to run the 'publish' command script: 0a1b, on @user_script:2.", true),
            ("ERR Error compiling script (new function): user_script:1: '=' expected near 'is'", false),
            ("ERR Error while compiling new script: user_script:1: unexpected symbol near '#'", false),
            ("ERR Failed to compile script: user_script:1: unexpected symbol", false),
            ("ERR user_script:1: unexpected symbol near '#'", false),
            ("ERR user_script:7: the reason quotes compiling script: 0a1b, on @user_script:7.", true),
            ("ERR Unexpected flag in script shebang: no-such-flag", false),
            ("ERR Unexpected engine in script shebang: lua2", false), ("ERR unknown command 'EVAL'", false),
            ("ERR Script attempted to access a non local key in a cluster node script: 0a1b, on @user_script:2.", true),
            ("OOM command not allowed when used memory > 'maxmemory'. script: 0a1b, on @user_script:1.", false),
            ("READONLY You can't write against a read only replica. script: 0a1b, on @user_script:1.", false),
        ]
    )
    func onlyAScriptThatHasBegunMayHaveWritten(text: String, mayHaveBeenApplied: Bool) {
        #expect(RedisError(reply: text).mayHaveBeenApplied == mayHaveBeenApplied)
    }

    @Test(
        "A malformed redirection is an ordinary error",
        arguments: [
            "MOVED", "MOVED 1", "MOVED  ", "MOVED x 127.0.0.1:6381", "MOVED -1 127.0.0.1:6381", "MOVED 16384 127.0.0.1:6381",
            "MOVED 99999999999999999999 127.0.0.1:6381", "MOVED 1 127.0.0.1", "MOVED 1 127.0.0.1:", "MOVED 1 127.0.0.1:0",
            "MOVED 1 127.0.0.1:65536",
            "MOVED 1 127.0.0.1:99999999999999999999", "MOVED 1 127.0.0.1:x", "MOVED 127.0.0.1:6381 1", "MOVED 1.5 127.0.0.1:6381",
        ]
    )
    func aRedirectionThatIsNoneIsAnOrdinaryError(text: String) {
        #expect(RedisError(reply: text).code == .reply("MOVED"))
        #expect(RedisError(reply: text.replacing("MOVED", with: "ASK")).code == .reply("ASK"))
    }
}
