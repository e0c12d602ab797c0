import NIOCore
import SessionStore
import TestSupport
import Testing

@Suite("Batches of logged events")
struct LoggedEventsTests {
    private struct Event: Equatable {
        var name: LoggedEvents.Field
        var text: String
    }

    private func contents(_ events: LoggedEvents) -> [Event] {
        var list: [Event] = []
        events.forEach { list.append(Event(name: $0, text: String(buffer: $1))) }
        return list
    }

    @Test("A batch numbers its events from the first")
    func numbersItsEventsFromTheFirst() {
        var events = LoggedEvents(firstSequence: 5)
        #expect(events.isEmpty && events.count == 0 && events.byteCount == 0)
        #expect(events.lastSequence == 4 && events.nextSequence == 5)
        events.append(token: "ü")
        events.append(token: "")
        events.append(.done, json: ByteBuffer(string: "{}"))
        #expect(events.firstSequence == 5 && events.lastSequence == 7 && events.nextSequence == 8)
        #expect(events.count == 3 && events.byteCount == 4 && !events.isEmpty)
        #expect(contents(events) == [Event(name: .token, text: "ü"), Event(name: .token, text: ""), Event(name: .done, text: "{}")])
    }

    @Test("A batch takes only the readable bytes")
    func takesOnlyTheReadableBytes() {
        var json = ByteBuffer(string: "garbage{}")
        json.moveReaderIndex(forwardBy: 7)
        var events = LoggedEvents(firstSequence: 1)
        events.append(.message, json: json)
        #expect(contents(events) == [Event(name: .message, text: "{}")])
    }

    /// A batch that was taken does not change when others are added or taken later.
    @Test("Batches together equal a plain array", arguments: 0..<20)
    func agreesWithAPlainArray(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let first = Int.random(in: 0...1_000, using: &random)
        var events = LoggedEvents(firstSequence: first)
        var model: [Event] = []
        var start = first
        var taken: [(events: LoggedEvents, model: [Event], start: Int)] = []
        for _ in 0..<400 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0:
                taken.append((events.takeAll(), model, start))
                (start, model) = (start + model.count, [])
            case 1 where !taken.isEmpty:
                // As after a failure, the returned batch comes before later events.
                var last = taken.removeLast()
                last.events.append(contentsOf: events)
                (events, model, start) = (last.events, last.model + model, last.start)
            default:
                let text = String(
                    repeating: ["a", "ü", "👩‍👩‍👧", ""].randomElement(using: &random) ?? "", count: Int.random(in: 0..<5, using: &random))
                let name = ([.token, .message, .error, .done, .restart] as [LoggedEvents.Field]).randomElement(using: &random) ?? .token
                if name == .token { events.append(token: text) } else { events.append(name, json: ByteBuffer(string: text)) }
                model.append(Event(name: name, text: text))
            }
            #expect(contents(events) == model, "seed \(seed)")
            #expect(events.firstSequence == start && events.count == model.count, "seed \(seed)")
            #expect(events.nextSequence == start + model.count && events.lastSequence == start + model.count - 1, "seed \(seed)")
            #expect(events.byteCount == model.reduce(0) { $0 + $1.text.utf8.count }, "seed \(seed)")
        }
        for (events, model, start) in taken {
            #expect(contents(events) == model && events.firstSequence == start, "seed \(seed)")
        }
    }
}
