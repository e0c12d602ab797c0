import TestSupport

/// Random JSON documents, with whitespace, escapes and unusual characters.
struct RandomJSON {
    var random: SeededGenerator

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed)
    }

    mutating func document() -> String { space() + value(depth: 0) + space() }

    mutating func space() -> String {
        Int.random(in: 0..<4, using: &random) == 0 ? [" ", "\n", "\t", "\r\n", "  "].randomElement(using: &random) ?? "" : ""
    }

    mutating func value(depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 4 ? 6 : 9), using: &random) {
        case 0: return "null"
        case 1: return Bool.random(using: &random) ? "true" : "false"
        case 2, 3: return number()
        case 4, 5: return string()
        case 6:
            return "[" + space()
                + (0..<Int.random(in: 0..<4, using: &random)).map { _ in value(depth: depth + 1) + space() }
                .joined(separator: "," + space()) + "]"
        default:
            return "{" + space()
                + (0..<Int.random(in: 0..<4, using: &random)).map { index in
                    "\"k\(index)" + string().dropFirst() + space() + ":" + space() + value(depth: depth + 1) + space()
                }.joined(separator: "," + space()) + "}"
        }
    }

    mutating func number() -> String {
        [
            "0", "-0", "7", "-12", "123456789012345678901234567890", "0.5", "-1.25e3", "1E+2", "3e-7", "9223372036854775807", "2.0",
        ].randomElement(using: &random) ?? "0"
    }

    mutating func string() -> String {
        "\""
            + (0..<Int.random(in: 0..<12, using: &random)).map { _ in
                [
                    "a", "hello ", "ü", "日本", "👩‍👩‍👧", "\\n", "\\\"", "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\u2028", "\u{2028}",
                    "\u{85}", "{", "]", ",", ":", "\\b\\f\\r\\t", "\u{7F}", "\u{FFFE}", "\u{10FFFF}",
                ].randomElement(using: &random) ?? ""
            }.joined() + "\""
    }

    /// Changes, removes, repeats or inserts some bytes. Never inserts a zero byte, because
    /// Foundation would then guess another encoding.
    mutating func mutated(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...2, using: &random) {
            let alphabet = Array("{}[]\",:\\u0123456789dDeE+-.tfnx \n".utf8) + [0x01, 0x1F, 0x80, 0xC0, 0xC2, 0xE2, 0xED, 0xF4, 0xFF]
            let byte = alphabet.randomElement(using: &random) ?? 0x20
            guard !bytes.isEmpty else { return [byte] }
            let position = bytes.indices.randomElement(using: &random) ?? 0
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[position] = byte
            case 1: bytes.remove(at: position)
            case 2: bytes.insert(bytes[position], at: position)
            default: bytes.insert(byte, at: position)
            }
        }
        return bytes
    }
}
