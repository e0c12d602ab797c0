import NIOCore
import SessionStore
import TestSupport

@testable import AgentService
@testable import LanguageModels

/// The part of a completion that a client gets, after the decoder and the step's state machine.
struct Heard: Equatable, CustomStringConvertible {
    /// Nil if the server asks the model again.
    var status: StepStatus?
    var text = ""
    var calls: [String] = []
    var reason: String?
    var code: String?
    var message = ""
    var usage: TokenUsage?

    init(_ parts: [ByteBuffer], contentType: String? = "text/event-stream", isLost: Bool = false) {
        let decoded = Decoded(parts: parts, contentType: contentType, isLost: isLost)
        var machine = StepStateMachine(maximumBytes: 1 << 20, maximumCalls: 128)
        do throws(LLMError) {
            for event in decoded.events { try machine.receive(event) }
            if let code = decoded.error {
                var error = LLMError(code, decoded.message)
                error.finishReason = decoded.reason
                take(machine.failed(error))
            } else {
                var made = 0
                let conclusion = machine.conclude(
                    isUsed: { _ in false },
                    makeID: {
                        made += 1
                        return "made_\(made)"
                    })
                if case .commit(let ending) = conclusion { take(ending) }
            }
        } catch {
            (code, message) = (error.code.rawValue, error.message)
        }
        text = String(buffer: machine.text)
        usage = machine.hasUsage ? machine.usage : nil
    }

    init(_ body: some StringProtocol, contentType: String? = "text/event-stream", isLost: Bool = false) {
        self.init([ByteBuffer(string: String(body))], contentType: contentType, isLost: isLost)
    }

    private mutating func take(_ ending: StepStateMachine.Ending) {
        status = ending.status
        calls = ending.calls.map { "\($0.name) \(String(buffer: $0.arguments))" }
        (reason, code) = (ending.finishReason?.text, ending.errorCode)
        for case .failed(let failure) in ending.events { message = failure.message }
    }

    var description: String {
        "\(status.map { "\($0)" } ?? "asked again") \(text.debugDescription) \(calls) \(reason ?? "-") \(code ?? "-") \(message)"
    }

    /// Splits `bytes` into pieces of `length` bytes.
    static func pieces(_ bytes: [UInt8], every length: Int) -> [ByteBuffer] {
        stride(from: 0, to: bytes.count, by: length).map { ByteBuffer(bytes: bytes[$0..<min(bytes.count, $0 + length)]) }
    }
}
