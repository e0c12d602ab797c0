/// The header of W3C Trace Context, section 3.2 (https://www.w3.org/TR/trace-context/): version,
/// trace, parent and flags.
enum TraceParent {
    private static let lengths = [2, 32, 16, 2]

    /// Returns whether the text may be passed on. A longer text is not, though a later version of
    /// the header might be longer.
    static func isValid(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.map(\.count) == lengths, parts.joined().allSatisfy(isLowerHex) else { return false }
        // The version ff is forbidden, and an id of zeros names nothing.
        return !parts[0].elementsEqual("ff".utf8) && parts[1...2].allSatisfy { $0.contains { $0 != UInt8(ascii: "0") } }
    }

    private static func isLowerHex(_ byte: UInt8) -> Bool {
        0x30...0x39 ~= byte || 0x61...0x66 ~= byte
    }
}
