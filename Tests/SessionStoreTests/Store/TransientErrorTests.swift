import RedisClient
import Testing

@testable import SessionStore

@Suite("Transient errors of Redis")
struct TransientErrorTests {
    @Test("Errors that may pass soon are transient")
    func whatMaySucceedSoonIsTransient() {
        let transient: [RedisError.Code] = [
            .connectionFailed, .connectionLost, .timeout, .overloaded, .loading, .readOnly, .masterDown, .clusterDown, .tryAgain,
            .noReplicas,
            .busy, .outOfMemory, .writesRefused, .moved(slot: 1, host: "", port: 1), .ask(slot: 1, host: "", port: 1),
        ]
        #expect(transient.allSatisfy { RedisError($0, "").isTransient })
        let lasting: [RedisError.Code] = [.closed, .cancelled, .protocolViolation, .noScript, .notPermitted, .reply("ERR")]
        #expect(!lasting.contains { RedisError($0, "").isTransient })
    }
}
