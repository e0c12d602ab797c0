import NIOCore
import SessionStore
import Synchronization
import TestSupport
import Testing

@testable import AgentService
@testable import LanguageModels

@Suite("A client's stream", .timeLimit(.minutes(1)))
struct ClientStreamTests {
    static func rest(of stream: ClientStream) async -> String {
        var text = ""
        while let bytes = await stream.next() { text += String(buffer: bytes) }
        return text
    }

    /// Counts the calls of a handler.
    final class Counter: Sendable {
        private let number = Atomic<Int>(0)
        var count: Int { number.load(ordering: .relaxed) }
        func add() { number.add(1, ordering: .relaxed) }
    }

    @Test("A read takes all ready bytes, in order")
    func everythingThatIsReadyIsTakenAtOnceAndInOrder() async {
        let stream = ClientStream()
        for number in 0..<100 { stream.write { $0.writeString("\(number) ") } }
        let bytes = await stream.next()
        #expect(bytes.map { String(buffer: $0) } == (0..<100).map { "\($0) " }.joined())
        stream.write { $0.writeString("more") }
        #expect(await stream.next().map { String(buffer: $0) } == "more")
    }

    @Test("A write wakes a waiting reader")
    func aReaderThatWaitsIsWoken() async throws {
        let stream = ClientStream()
        let reader = Task { await stream.next() }
        // The reader gets the bytes, whether it already waits or not. An empty write does not wake
        // it.
        stream.write { _ in }
        stream.write { $0.writeString("x") }
        #expect(try await reader.value("the reader is woken").map { String(buffer: $0) } == "x")
    }

    @Test("An empty write wakes no reader")
    func nothingWakesNobody() async throws {
        for _ in 0..<50 {
            let stream = ClientStream()
            let reader = Task { await stream.next() }
            for _ in 0..<20 {
                stream.write { _ in }
                await Task.yield()
            }
            stream.write { $0.writeString("x") }
            #expect(try await reader.value("the reader is woken").map { String(buffer: $0) } == "x")
        }
    }

    @Test("Bytes written before the end are delivered")
    func whatWasWrittenBeforeTheEndIsDelivered() async {
        let stream = ClientStream()
        stream.write { $0.writeString("a") }
        stream.finish()
        stream.write { $0.writeString("b") }
        stream.finish()
        #expect(await Self.rest(of: stream) == "a")
        #expect(await stream.next() == nil)
    }

    @Test("The end wakes a waiting reader")
    func aReaderThatWaitsLearnsOfTheEnd() async throws {
        let finished = ClientStream()
        let closed = ClientStream()
        let readers = [finished, closed].map { stream in Task { await stream.next() } }
        finished.finish()
        closed.close()
        for reader in readers { #expect(try await reader.value("the reader is woken") == nil) }
        #expect(!closed.isOpen)
    }

    // MARK: Falling behind

    @Test("A reader that falls behind is cut off")
    func whoFallsBehindIsCutOff() async {
        let stream = ClientStream(limit: 100)
        let closed = Counter()
        stream.whenClosed { closed.add() }
        stream.write { $0.writeString(String(repeating: "x", count: 100)) }
        // One write of any size may exceed the limit. At the next write, the stream disconnects the
        // client.
        stream.write { $0.writeString(String(repeating: "x", count: 1000)) }
        #expect(stream.isOpen)
        #expect(stream.isBehind)
        stream.write { $0.writeString("x") }
        #expect(!stream.isOpen)
        #expect(closed.count == 1)
        // The stream delivers no partial event, and releases its bytes.
        #expect(await stream.next() == nil)
        stream.write { _ in Issue.record("nobody reads this") }
    }

    @Test("A reader that keeps up is not cut off")
    func whoReadsInTimeIsNotCutOff() async {
        let stream = ClientStream(limit: 100)
        for _ in 0..<50 {
            stream.write { $0.writeString(String(repeating: "x", count: 90)) }
            #expect(await stream.next()?.readableBytes == 90)
        }
        #expect(stream.isOpen)
    }

    // MARK: Leaving

    @Test("The disconnect handler runs once, however the client leaves")
    func theHandlerIsCalledOnceHoweverTheClientLeaves() {
        let (stream, counter) = (ClientStream(), Counter())
        stream.whenClosed { counter.add() }
        stream.whenClosed { counter.add() }
        stream.close()
        stream.close()
        #expect(counter.count == 2)
        stream.whenClosed { counter.add() }
        #expect(counter.count == 3)
    }

    @Test("The disconnect handler does not run after the end")
    func theHandlerIsNotCalledAfterTheEnd() async {
        let (stream, counter) = (ClientStream(), Counter())
        stream.whenClosed { counter.add() }
        stream.finish()
        stream.whenClosed { counter.add() }
        _ = await stream.next()
        stream.close()
        #expect(counter.count == 0)
    }

    @Test("A cancelled reader counts as a disconnect")
    func aReaderThatIsCancelledHasLeft() async throws {
        let (stream, counter) = (ClientStream(), Counter())
        stream.whenClosed { counter.add() }
        let reader = Task { await stream.next() }
        reader.cancel()
        #expect(try await reader.value("the reader is woken") == nil)
        try await eventually("the handler is called") { counter.count == 1 }
        #expect(!stream.isOpen)
    }

    @Test("A handler set while the client leaves runs once")
    func aHandlerThatComesWhileTheClientLeavesIsCalledOnce() async {
        for _ in 0..<500 {
            let (stream, counter) = (ClientStream(), Counter())
            async let closing: Void = stream.close()
            async let handing: Void = stream.whenClosed { counter.add() }
            _ = await (closing, handing)
            #expect(counter.count == 1)
        }
    }

    // MARK: Many at once

    @Test("Bytes of many writers keep each writer's order")
    func manyWritersKeepTheirOrder() async throws {
        let stream = ClientStream(limit: .max)
        let (writers, each) = (8, 1000)
        let reader = Task { await Self.rest(of: stream) }
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<each { stream.write { $0.writeString("\(writer) \(number)\n") } }
                }
            }
        }
        stream.finish()
        var next = [Int](repeating: 0, count: writers)
        for line in try await reader.value("all is read").split(separator: "\n") {
            let parts = line.split(separator: " ").compactMap { Int($0) }
            try #require(parts.count == 2)
            #expect(parts[1] == next[parts[0]])
            next[parts[0]] = parts[1] + 1
        }
        #expect(next == [Int](repeating: each, count: writers))
    }

    // MARK: Keep-alive

    @Test("A keep-alive comment is written only after silence")
    func aCommentComesAfterSilenceOnly() async {
        let stream = ClientStream()
        func ticks(_ count: Int) { for _ in 0..<count { stream.tick(silenceLimit: 3) } }
        ticks(2)
        stream.write { $0.writeString("x") }
        ticks(2)
        #expect(await stream.next().map { String(buffer: $0) } == "x")
        ticks(1)
        #expect(await stream.next().map { String(buffer: $0) } == ": keep-alive\n\n")
        // The comment ends the silence.
        ticks(2)
        stream.write { $0.writeString("y") }
        #expect(await stream.next().map { String(buffer: $0) } == "y")
        // An event without bytes for the client does not end the silence.
        ticks(2)
        stream.write { _ in }
        ticks(1)
        stream.finish()
        #expect(await Self.rest(of: stream) == ": keep-alive\n\n")
        ticks(9)
        #expect(await Self.rest(of: stream) == "")
    }

    /// No other rule would end this connection. After a delivery, the stream waits longer for the
    /// client.
    @Test("A client that does not take the end is cut off after a while")
    func whoDoesNotTakeTheEndIsCutOffAfterAWhile() {
        for isGivenSome in [false, true] {
            let stream = ClientStream()
            func ticks(_ count: Int) { for _ in 0..<count { stream.tick(silenceLimit: 3) } }
            stream.finish { $0.writeString("the end") }
            ticks(11)
            if isGivenSome {
                guard case .bytes = stream.take() else {
                    Issue.record("nothing to take")
                    return
                }
                ticks(11)
            }
            #expect(stream.isOpen)
            ticks(1)
            #expect(!stream.isOpen)
        }
    }

    @Test("A stream ends at its deadline, once, and takes no further events")
    func theDeadline() async {
        let stream = ClientStream(encoder: Signals())
        stream.end(at: .now + .seconds(60))
        stream.tick(silenceLimit: 3)
        #expect(stream.isLive)
        stream.end(at: .now)
        for _ in 0..<3 { stream.tick(silenceLimit: 3) }
        #expect(!stream.isLive && stream.isOpen)
        stream.emit(.keepAlive)
        stream.finish { $0.emit(.resumeLater) }
        #expect(await Self.rest(of: stream) == "credentialEnded;")
    }

    /// Writes the names of signals.
    private struct Signals: StreamEncoder {
        func encode(_ event: TurnEvent, id: EventID?, into bytes: inout ByteBuffer) {}
        func encode(_ signal: StreamSignal, into bytes: inout ByteBuffer) { bytes.writeString("\(signal);") }
    }

    @Test("The keep-alive service writes comments to silent streams and releases dead ones")
    func theServiceSendsCommentsToSilentStreamsAndLetsGoOfDeadOnes() async throws {
        let keepAlive = KeepAlive(period: .milliseconds(150))
        let silent = ClientStream()
        let gone = ClientStream()
        weak var dropped: ClientStream?
        do {
            let temporary = ClientStream()
            dropped = temporary
            keepAlive.add(temporary)
        }
        gone.close()
        keepAlive.add(gone)
        keepAlive.add(silent)
        let running = Task { try await keepAlive.run() }
        defer { running.cancel() }
        var received = ""
        while received.count < 3 * ": keep-alive\n\n".count {
            received += String(buffer: try #require(await silent.next()))
        }
        #expect(received == String(repeating: ": keep-alive\n\n", count: 3))
        #expect(dropped == nil)
        #expect(await gone.next() == nil)
    }
}
