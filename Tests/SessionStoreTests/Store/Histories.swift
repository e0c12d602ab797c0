import NIOCore

@testable import SessionStore

extension RedisSessionStore {
    /// Returns the whole history of a step at once.
    func history(of started: StartedStep) async throws(StoreError) -> [ByteBuffer] {
        var messages: [ByteBuffer] = []
        try await readHistory(of: started) { messages += $0 }
        return messages
    }
}
