import LocalDeployment

/// Reads one step's events as a client does, over as many connections as that takes, and records
/// what is wrong with them (I5): a gap, an event that comes twice, a text that differs from its
/// deltas.
struct StreamCheck: Sendable {
    private(set) var lastID: String?
    /// The parts of ``lastID``.
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
    /// Describes a change of step without a `restart` event. Only a replica that ends a step for
    /// its lost owner may omit the event, since it sends no text again.
    private var unannounced: String?
    /// Whether the next event with an id may be the first of another step.
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
            faults.append("\(id) is not an event id")
            return
        }
        defer { (position, mayBegin) = (next, false) }
        if let position, position.step == next.step, position.nonce == next.nonce, !mayBegin || next.sequence > 1 {
            if next.sequence != position.sequence + 1 { faults.append("\(position.step)-\(position.sequence) is followed by \(id)") }
        } else if !mayBegin {
            unannounced = "\(position.map { "\($0.step)-\($0.sequence)" } ?? "nothing") is followed by \(id) without a restart"
        } else if next.sequence > 1 {
            faults.append("the first event of a step has the id \(id)")
        }
    }

    private mutating func readMessage(_ data: JSON) {
        // The final text comes with an empty token.
        if let text = data["content"].string {
            if content != nil { faults.append("a step has a second final text") }
            content = text
        } else if let token = data["token"].string {
            tokens += token
        } else if let call = data["call_id"].string {
            if calls.contains(call) { faults.append("the stream names the call \(call) twice") }
            calls.append(call)
        }
    }

    private mutating func end(_ data: JSON) {
        done = data
        switch data["status"].string {
        case "completed", "waiting":
            // The stream of a step that has left the log holds no deltas.
            if !tokens.isEmpty, tokens != content ?? "" {
                faults.append("the deltas differ from the final text: \(tokens.count) and \(content?.count ?? 0) characters")
            }
        case "cancelled":
            unannounced = nil
        case "failed":
            unannounced = nil
            if error == nil { faults.append("a step failed without an error event") }
        default:
            faults.append("done has an unknown status: \(data["status"])")
        }
        if let unannounced { faults.append(unannounced) }
        let pending = data["pending_calls"].array.compactMap(\.string)
        if data["status"].string == "waiting", !calls.allSatisfy(pending.contains) {
            faults.append("done waits for \(pending), but the stream named \(calls)")
        }
    }

    private static func parse(_ id: String) -> (step: Int, sequence: Int, nonce: String)? {
        guard let dash = id.firstIndex(of: "-"), let dot = id.lastIndex(of: "."), dash < dot, let step = Int(id[..<dash]),
            let sequence = Int(id[id.index(after: dash)..<dot])
        else { return nil }
        return (step, sequence, String(id[id.index(after: dot)...]))
    }
}
