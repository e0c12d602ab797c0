/// Why the process ends before or without serving: one line on standard error, and a code of
/// sysexits.h.
struct Exit: Error {
    var code: Int32
    var line: String

    /// EX_USAGE: a setting cannot be used.
    static func usage(_ line: String) -> Exit { Exit(code: 64, line: line) }

    /// EX_UNAVAILABLE: something that the server needs is not there.
    static func unavailable(_ line: String) -> Exit { Exit(code: 69, line: line) }

    func say() {
        var output = StandardError()
        print("agent-server: \(line)", to: &output)
    }
}
