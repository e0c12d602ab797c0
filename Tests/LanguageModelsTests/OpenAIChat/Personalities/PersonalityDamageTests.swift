import Foundation
import NIOCore
import TestSupport
import Testing

@testable import LanguageModels
@testable import LocalDeployment

@Suite("Cut and damaged streams of every personality", .tags(.search))
struct PersonalityDamageTests {
    /// Returns the events of a text completion, comments included.
    private func events(_ personality: Personality) throws -> [String] {
        let loop = try ScriptedLoop(with: personality)
        let text = ["Grüße, ", "日本 ", "😀 ", "and ", "\"quotes\"."]
        var bytes = ByteBuffer()
        for case .bytes(let part) in personality.answer(ScriptedCompletion(text: text), to: loop.request(loop.messages)).parts {
            bytes.writeImmutableBuffer(part)
        }
        return String(buffer: bytes).components(separatedBy: "\n\n").filter { !$0.isEmpty }.map { $0 + "\n\n" }
    }

    /// Checks that a completion that was reported as whole contains its end, and all text of the
    /// bytes.
    ///
    /// - Returns: Whether the completion is reported as whole.
    @discardableResult
    private func check(_ bytes: ByteBuffer, _ what: String) -> Bool {
        let decoded = Decoded(parts: [bytes])
        guard decoded.events.contains(where: { if case .finish = $0 { true } else { false } }) else { return false }
        let read = PlainReader(bytes)
        #expect(read.hasEnd, "\(what) is told as complete: \(String(buffer: bytes))")
        #expect(decoded.text == read.text, "\(what): \(String(buffer: bytes))")
        return decoded.error == nil
    }

    @Test("A stream cut at any byte is complete only if its end was received", arguments: Personality.allCases)
    func cutAtAnyByte(_ personality: Personality) throws {
        let whole = ByteBuffer(string: try events(personality).joined())
        var completed = 0
        // Tries every byte of the end, and every fifth byte of the rest.
        for length in 0...whole.readableBytes where length > whole.readableBytes - 600 || length % 5 == 0 {
            let cut = try #require(whole.getSlice(at: whole.readerIndex, length: length))
            if check(cut, "\(personality), \(length) bytes") { completed += 1 }
        }
        // Some completions are whole and most are not; otherwise the test would prove nothing.
        #expect(completed > 0 && completed < whole.readableBytes / 2)
    }

    @Test("A stream with lost, doubled or swapped events is complete only if its end was received", arguments: Personality.allCases)
    func eventsLostDoubledAndSwapped(_ personality: Personality) throws {
        let events = try events(personality)
        var random = SeededGenerator(seed: 15)
        for index in events.indices {
            var (lost, doubled) = (events, events)
            lost.remove(at: index)
            doubled.insert(events[index], at: index)
            check(ByteBuffer(string: lost.joined()), "\(personality) without event \(index)")
            check(ByteBuffer(string: doubled.joined()), "\(personality) with event \(index) twice")
            for other in events.indices where other > index {
                var swapped = events
                swapped.swapAt(index, other)
                check(ByteBuffer(string: swapped.joined()), "\(personality) with \(index) and \(other) swapped")
            }
        }
        for round in 0..<40 {
            var mixed = events
            mixed.shuffle(using: &random)
            mixed.removeLast(Int.random(in: 0...3, using: &random))
            check(ByteBuffer(string: mixed.joined()), "\(personality), mixture \(round)")
        }
    }
}

/// Reads the text and the end of a stream event by event, with Foundation's JSON.
private struct PlainReader {
    var text = ""
    var hasEnd = false

    init(_ bytes: ByteBuffer) {
        for event in String(buffer: bytes).components(separatedBy: "\n\n") where event.hasPrefix("data: ") {
            let data = event.dropFirst("data: ".count).trimmingCharacters(in: .newlines)
            if data == "[DONE]" {
                hasEnd = true
                return
            }
            guard let choice = try? JSON(data)["choices"][0] else { continue }
            let content = choice["delta"]["content"]
            text += content.string ?? content.array.compactMap { $0["text"].string }.joined()
            if choice["finish_reason"].string != nil { hasEnd = true }
        }
    }
}
