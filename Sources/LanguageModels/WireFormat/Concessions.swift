/// What a request goes without, or has in addition, because its server refuses it otherwise. Each
/// format has meanings of its own for the bits.
public struct Concessions: OptionSet, Sendable {
    public var rawValue: UInt8

    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// Returns whether a response with this status may ask for concessions: validators and
    /// templates, which say what they do not take, send it.
    static func mayBeAskedFor(byStatus status: Int) -> Bool { [400, 422, 500].contains(status) }
}
