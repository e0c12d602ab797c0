import NIOCore
import SessionStore
import TestSupport
import Testing

@testable import LanguageModels

/// A completion counts as whole only if its bytes contain its end. Its text then equals that of
/// another reader.
@Suite("Cut and damaged streams", .tags(.search))
struct CutStreamTests {
    /// Reads a stream slowly and plainly, by the wording of the standard and of OpenAI.
    struct Reader {
        var text = ""
        var isMarked = false
        var hasReason = false
        /// Text has followed the reason, so that the reason did not end the completion.
        var isDoubtful = false
        var isBroken = false
        /// The last event is truncated.
        var isCutOff = false
        /// The reason came after text, and not in the chunk with the first text.
        var isBehindWords = false

        init(_ bytes: [UInt8], isLost: Bool) {
            var events: [[UInt8]] = [[]]
            for byte in bytes {
                events[events.count - 1].append(byte)
                if events[events.count - 1].suffix(2) == [10, 10] { events.append([]) }
            }
            // No blank line follows the last event. The event counts only if the body has ended
            // properly.
            if let last = events.popLast(), !last.isEmpty {
                let isWhole = Self.data(last).map { $0 == "[DONE]" || (try? JSON($0)) != nil } ?? false
                if isWhole, !isLost { events.append(last) }
                isCutOff = !isWhole && Self.data(last)?.isEmpty == false
            }
            for event in events where !isMarked && !isBroken {
                guard let data = Self.data(event) else { continue }
                if data == "[DONE]" { isMarked = true } else if let chunk = try? JSON(data) { take(chunk) } else { isBroken = true }
            }
        }

        private static func data(_ event: [UInt8]) -> String? {
            let line = String(decoding: event, as: UTF8.self).trimming
            return line.hasPrefix("data:") ? String(line.dropFirst(5)).trimming : nil
        }

        private mutating func take(_ chunk: JSON) {
            let choice = chunk["choices"][0]
            let piece = choice["delta"]["content"].string ?? ""
            if hasReason, !piece.isEmpty { isDoubtful = true }
            if let reason = choice["finish_reason"].string, reason != "null" {
                hasReason = true
                isBehindWords = isBehindWords || !text.isEmpty
            }
            text += piece
        }

        func isComplete(isLost: Bool) -> Bool {
            if isBroken { return false }
            if isMarked { return hasReason || !text.isEmpty }
            return isLost ? hasReason && !isDoubtful && isBehindWords : hasReason && !(isDoubtful && isCutOff)
        }
    }

    static let streams: [String] = [
        OddStream.text,
        // Azure sends its filters' results first, and no end mark.
        OddStream.events([#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#] + OddStream.chunks),
        // Gemini sends few large chunks, and the reason with the last text.
        OddStream.events([
            Decoded.delta(#"{"role":"assistant","content":"Eins, zwei, "}"#), Decoded.delta(#"{"content":"drei 🙂."}"#, finish: "stop"),
        ])
            + OddStream.mark,
        // KoboldCpp sends a placeholder as the reason.
        OddStream.events(["eins ", "zwei ", "drei"].map { Decoded.delta(#"{"content":"\#($0)"}"#, finish: "null") } + [OddStream.stop])
            + OddStream.mark,
        // Without a reason, only the mark is the end.
        OddStream.events(["eins ", "zwei"].map { Decoded.delta(#"{"content":"\#($0)"}"#) }) + OddStream.mark,
        // DeepSeek sends reasoning first.
        OddStream.events([
            Decoded.delta(#"{"content":null,"reasoning_content":"hm"}"#), Decoded.delta(#"{"content":"Ja."}"#), OddStream.stop,
            OddStream.usage,
        ])
            + OddStream.mark,
    ]

    private static func check(_ bytes: [UInt8], isLost: Bool, _ what: @autoclosure () -> String) {
        let reader = Reader(bytes, isLost: isLost)
        let heard = Heard([ByteBuffer(bytes: bytes)], isLost: isLost)
        #expect((heard.status == .completed) == reader.isComplete(isLost: isLost), "\(what()): \(heard)")
        if heard.status == .completed { #expect(heard.text == reader.text, "\(what())") }
    }

    @Test("A stream cut at any byte is complete only if its end was received", arguments: streams.indices, [false, true])
    func cutAtAnyByte(stream: Int, isLost: Bool) {
        let bytes = Array(Self.streams[stream].utf8)
        for position in 0...bytes.count {
            Self.check(Array(bytes[..<position]), isLost: isLost, "cut at \(position)")
        }
    }

    @Test("A stream with lost, doubled or swapped events is complete only if its end was received", arguments: streams.indices, 0..<4)
    func withEventsLostDoubledAndSwapped(stream: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        for round in 0..<150 {
            var events = Self.streams[stream].split(separator: "\n\n").map { Array($0.utf8) + [10, 10] }
            for _ in 0..<Int.random(in: 1...3, using: &random) where events.count > 1 {
                let place = Int.random(in: events.indices, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: events.remove(at: place)
                case 1: events.insert(events[place], at: Int.random(in: 0...events.count, using: &random))
                default: events.swapAt(place, Int.random(in: events.indices, using: &random))
                }
            }
            var bytes = events.flatMap { $0 }
            if Bool.random(using: &random) { bytes.removeLast(Int.random(in: 0...bytes.count, using: &random)) }
            for isLost in [false, true] {
                Self.check(
                    bytes, isLost: isLost, "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self).debugDescription)")
            }
        }
    }
}

extension String {
    fileprivate var trimming: String { String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()) }
}
