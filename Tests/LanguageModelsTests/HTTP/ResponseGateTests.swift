import NIOCore
import NIOHTTP1
import Testing

@testable import LanguageModels

@Suite("The order of response parts")
struct ResponseGateTests {
    private enum Event: CaseIterable {
        case request, head, informational, odd, body, end

        var part: HTTPClientResponsePart? {
            switch self {
            case .request: nil
            case .head: .head(HTTPResponseHead(version: .http1_1, status: .ok))
            case .informational: .head(HTTPResponseHead(version: .http1_1, status: .custom(code: 199, reasonPhrase: "")))
            case .odd: .head(HTTPResponseHead(version: .http1_1, status: .custom(code: 99, reasonPhrase: "")))
            case .body: .body(ByteBuffer(string: "x"))
            case .end: .end(nil)
            }
        }
    }

    /// Tries six events in every order. For each request, a head, bodies and an end pass; after a
    /// refusal, no part passes.
    @Test("Every order of events yields a valid order of parts")
    func whateverComesTheOrderIsRight() {
        let kinds = Event.allCases
        for number in 0..<46_656 {
            var rest = number
            let events = (0..<6).map { _ in
                defer { rest /= kinds.count }
                return kinds[rest % kinds.count]
            }
            var gate = ResponseGate()
            var (isAwaited, isOpen, isShut) = (false, false, false)
            for event in events {
                guard let part = event.part else {
                    gate.requestBegan()
                    // The HTTP client sends a request when the response before it has ended.
                    isAwaited = isAwaited || !isOpen && !isShut
                    continue
                }
                let verdict = gate.judge(part)
                switch (verdict, event) {
                case (.pass, .head):
                    #expect(isAwaited && !isOpen && !isShut, "\(events)")
                    (isAwaited, isOpen) = (false, true)
                case (.pass, .body): #expect(isOpen && !isShut, "\(events)")
                case (.pass, .end):
                    #expect(isOpen && !isShut, "\(events)")
                    isOpen = false
                case (.pass, _): Issue.record("\(event) went on: \(events)")
                case (.drop, _): #expect(isShut || event == .informational && isAwaited, "\(events)")
                case (.refuse(let error), _):
                    #expect(!isShut && error.code == .invalidResponse, "\(events)")
                    isShut = true
                }
            }
        }
    }

    @Test("Only valid statuses pass", arguments: 0...1_100 as ClosedRange<UInt>)
    func whichStatusesGoOn(code: UInt) {
        var gate = ResponseGate()
        gate.requestBegan()
        let verdict = gate.judge(.head(HTTPResponseHead(version: .http1_1, status: .custom(code: code, reasonPhrase: ""))))
        switch verdict {
        case .pass: #expect(200...599 ~= code)
        case .drop: #expect(code == 100 || 102...199 ~= code)
        case .refuse(let error): #expect((code < 100 || code == 101 || code > 599) && error.status == Int(code))
        }
    }
}
