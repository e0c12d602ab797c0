/// Follows the arguments of a call as they come: whether they are a whole JSON value yet, and which
/// one.
///
/// It keeps no text and reads brackets and quotes alone: the validity of the value is judged at the
/// end.
struct CallArguments: Sendable, Equatable {
    enum State: Sendable {
        /// Nothing but blanks.
        case none
        case open
        case whole
    }

    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    private var isBegun = false
    /// FNV-1a of the bytes, without the blanks between tokens (Fowler, Noll, Vo).
    private var digest: UInt64 = 0xCBF2_9CE4_8422_2325

    init(_ text: String = "") {
        append(text)
    }

    var state: State {
        guard isBegun else { return .none }
        return depth > 0 || isInString ? .open : .whole
    }

    /// Whether they are `{}`.
    var isEmptyObject: Bool { self == Self.emptyObject }
    private static let emptyObject = CallArguments("{}")

    mutating func append(_ text: String) {
        for byte in text.utf8 {
            if !isInString {
                if byte == 0x20 || 0x09...0x0D ~= byte { continue }
                isBegun = true
                switch byte {
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: "}"), UInt8(ascii: "]"): depth = max(0, depth - 1)
                case UInt8(ascii: "\""): isInString = true
                default: break
                }
            } else if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
            }
            digest = (digest ^ UInt64(byte)) &* 0x100_0000_01B3
        }
    }
}
