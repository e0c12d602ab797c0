import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite("Writing commands")
struct RedisCommandTests {
    static func resp(_ arguments: [[UInt8]]) -> ByteBuffer {
        ByteBuffer(bytes: Array("*\(arguments.count)\r\n".utf8) + arguments.flatMap { Array("$\($0.count)\r\n".utf8) + $0 + [13, 10] })
    }

    static func encoded(_ command: RedisCommand) -> ByteBuffer? {
        var output = ByteBuffer()
        return command.encode(into: &output) ? output : nil
    }

    @Test("Arguments of every kind are written")
    func writesArgumentsOfEveryKind() {
        #expect(Self.encoded(RedisCommand("PING")) == ByteBuffer(string: "*1\r\n$4\r\nPING\r\n"))
        #expect(
            Self.encoded(RedisCommand("SET", "ключ", "")) == ByteBuffer(string: "*3\r\n$3\r\nSET\r\n$8\r\nключ\r\n$0\r\n\r\n"))
        var command = RedisCommand("X", capacity: 0)
        command.append(integer: .min)
        command.append(ByteBuffer(bytes: [0, 13, 10, 255]))
        command.append(contentsOf: ["a", "", "b"])
        let text = ["X", "-9223372036854775808"].map { Array($0.utf8) } + [[0, 13, 10, 255], [97], [], [98]]
        #expect(Self.encoded(command) == Self.resp(text))
        // Every argument is empty, so that buffers may have no address.
        #expect(Self.encoded(RedisCommand("", "", "")) == Self.resp([[], [], []]))
    }

    @Test("A command is appended to the buffer")
    func appendsToWhatIsInTheBuffer() {
        var output = ByteBuffer(string: "before")
        #expect(RedisCommand("A").encode(into: &output))
        #expect(RedisCommand("B", "c").encode(into: &output))
        #expect(output == ByteBuffer(string: "before*1\r\n$1\r\nA\r\n*2\r\n$1\r\nB\r\n$1\r\nc\r\n"))
    }

    @Test("A part of a buffer is written, and the buffer stays unchanged")
    func writesAPartOfABufferAndLeavesTheBufferAlone() throws {
        let whole = ByteBuffer(string: "0123456789")
        let part = try #require(whole.getSlice(at: 3, length: 4))
        var command = RedisCommand("X", capacity: 4)
        command.append(part)
        #expect(Self.encoded(command) == Self.resp([[88], Array("3456".utf8)]))
        #expect(part.readableBytes == 4)
    }

    @Test("Random binary arguments are written", arguments: 0..<4)
    func writesRandomBinaryArguments(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for round in 0..<200 {
            let arguments = Self.arguments(using: &random)
            #expect(Self.encoded(Self.command(arguments)) == Self.resp(arguments), "seed \(seed), round \(round)")
        }
    }

    @Test("A mebibyte is written")
    func writesAMebibyte() {
        let large = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        // `==` in `#expect` would print megabytes.
        #expect((Self.encoded(Self.command([[65], large, [], large])) == Self.resp([[65], large, [], large])) == true)
    }

    @Test("The first arguments can be replaced", arguments: 0..<4)
    func replacesTheFirstArguments(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed + 50)
        for round in 0..<200 {
            let arguments = Self.arguments(using: &random)
            let first = Self.arguments(using: &random)
            let count = Int.random(in: 0...arguments.count, using: &random)
            let command = Self.command(arguments).replacing(first: count, with: first.map { ByteBuffer(bytes: $0) })
            #expect(Self.encoded(command) == Self.resp(first + arguments.dropFirst(count)), "seed \(seed), round \(round)")
            #expect(command.byteCount >= (first + arguments.dropFirst(count)).reduce(0) { $0 + $1.count })
        }
    }

    @Test("A script is called by its SHA or its source")
    func aScriptCallIsByItsSHAOrItsSource() {
        // The SHA-1 of "return 1", as SCRIPT LOAD returns it.
        let script = RedisScript(name: "one", source: Array("return 1".utf8))
        #expect(script.sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
        var call = RedisScriptCall(script, keys: ["k1", "k2"])
        call.append("a")
        call.append(integer: 7)
        call.append(ByteBuffer(bytes: [0]))
        let rest = ["2", "k1", "k2", "a", "7", "\0"].map { Array($0.utf8) }
        #expect(Self.encoded(call.command) == Self.resp(["EVALSHA", script.sha].map { Array($0.utf8) } + rest))
        #expect(Self.encoded(call.withSource) == Self.resp(["EVAL", "return 1"].map { Array($0.utf8) } + rest))
    }

    private static func command(_ arguments: [[UInt8]]) -> RedisCommand {
        RedisCommand("", capacity: 0).replacing(first: 1, with: arguments.map { ByteBuffer(bytes: $0) })
    }

    private static func arguments(using random: inout SeededGenerator) -> [[UInt8]] {
        let special: [[UInt8]] = [[], [0], [13, 10], Array("$3\r\nabc\r\n".utf8), Array("*1\r\n".utf8), [255, 254]]
        return (0..<Int.random(in: 1...9, using: &random)).map { _ in
            if Bool.random(using: &random), let one = special.randomElement(using: &random) { return one }
            return (0..<Int.random(in: 0...400, using: &random)).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        }
    }
}
