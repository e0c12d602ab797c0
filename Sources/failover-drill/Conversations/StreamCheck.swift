import LocalDeployment

/// Reads one step's events as a client does, over as many connections as it takes, and says what is wrong with them (I5): a gap, an event told twice, a text that is not what
/// the tokens said.
struct StreamCheck: Sendable {
    private(set) var lastID: String?
    /// What a browser would send: the id of the last event that had one.
    private var position: (step: Int, sequence: Int, nonce: String)?
    private var tokens = ""
    /// The final text.
    private(set) var content: String?
    private(set) var calls: [String] = []
    /// The code of the last `error` event.
    private(set) var error: String?
    private(set) var done: JSON?
    private(set) var faults: [String] = []
    private(set) var restarts = 0
    /// A change of step without a restart, which only whoever ends a step in another's place may make: then nothing is said anew.
    private var unannounced: String?
    /// The next event with an id begins a step anew.
    private var mayBegin = true

    mutating func read(_ event: ReceivedEvent) {
        if done != nil { faults.append("\(event.name) after done") }
        if event.name == "restart" {
            (tokens, content, calls, error, mayBegin) = ("", nil, [], nil, true)
            restarts += 1
        }
        if let id = event.id { follow(id) }
        switch event.name {
        case "message": readMessage(event.data)
        case "error": error = event.data["code"].string ?? "?"
        case "done": end(event.data)
        default: break
        }
    }

    private mutating func follow(_ id: String) {
        lastID = id
        guard let next = Self.parse(id) else {
            faults.append("the id \(id) is none")
            return
        }
        defer { (position, mayBegin) = (next, false) }
        if let position, position.step == next.step, position.nonce == next.nonce, !mayBegin || next.sequence > 1 {
            if next.sequence != position.sequence + 1 { faults.append("\(position.step)-\(position.sequence) is followed by \(id)") }
        } else if !mayBegin {
            unannounced = "\(position.map { "\($0.step)-\($0.sequence)" } ?? "nothing") is followed by \(id) without a restart"
        } else if next.sequence > 1 {
            faults.append("a step begins with \(id)")
        }
    }

    private mutating func readMessage(_ data: JSON) {
        // The whole text has an empty token beside it.
        if let text = data["content"].string {
            if content != nil { faults.append("a second final text") }
            content = text
        } else if let token = data["token"].string {
            tokens += token
        } else if let call = data["call_id"].string {
            if calls.contains(call) { faults.append("the call \(call) is told twice") }
            calls.append(call)
        }
    }

    private mutating func end(_ data: JSON) {
        done = data
        switch data["status"].string {
        case "completed", "waiting":
            // A step that has left the log is told without its tokens.
            if !tokens.isEmpty, tokens != content ?? "" {
                faults.append("the tokens are not the final text: \(tokens.count) and \(content?.count ?? 0) characters")
            }
        case "cancelled":
            unannounced = nil
        case "failed":
            unannounced = nil
            if error == nil { faults.append("failed without an error") }
        default:
            faults.append("an unknown status: \(data["status"])")
        }
        if let unannounced { faults.append(unannounced) }
        let pending = data["pending_calls"].array.compactMap(\.string)
        if data["status"].string == "waiting", !calls.allSatisfy(pending.contains) {
            faults.append("waiting for \(pending), but told of \(calls)")
        }
    }

    private static func parse(_ id: String) -> (step: Int, sequence: Int, nonce: String)? {
        guard let dash = id.firstIndex(of: "-"), let dot = id.lastIndex(of: "."), dash < dot, let step = Int(id[..<dash]),
            let sequence = Int(id[id.index(after: dash)..<dot])
        else { return nil }
        return (step, sequence, String(id[id.index(after: dot)...]))
    }
}
