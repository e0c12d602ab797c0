import TestSupport

@testable import AgentService

extension ClientStream {
    convenience init(limit: Int = 1 << 20) { self.init(encoder: PlainEncoder(), limit: limit) }
}

extension StreamOutput {
    mutating func writeString(_ text: String) { emit(.textDelta(text)) }
}
