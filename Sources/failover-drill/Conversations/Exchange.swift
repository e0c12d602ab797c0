import LocalDeployment

/// Sends one request until a stream has brought `done`. It retries as a good client does: with the
/// same key, and from the last event on.
struct Exchange {
    enum Outcome: Sendable {
        /// A stream brought `done`.
        case told(StreamCheck)
        /// No stream brought `done` in time. The text gives the last reason.
        case gaveUp(String)
        /// The service refused the request for a reason that does not pass: a fault of the service,
        /// or of the drill.
        case refused(status: Int, code: String)
    }

    var client: AgentClient
    var session: String
    var body: JSON
    /// The `Idempotency-Key`; nil for a tool's result, which its call id identifies.
    var key: String?
    /// How long the client retries.
    var patience: Duration
    /// Whether the service may refuse the request at a limit. It then says how long to wait.
    var hasLimits = false
    let progress: Progress

    func run() async -> (outcome: Outcome, timing: Timing) {
        var timing = Timing()
        var check = StreamCheck()
        var last = "the service sent nothing"
        var attempt = 0
        while timing.begun.duration(to: .now) < patience, !Task.isCancelled {
            attempt += 1
            switch await send(check, joins: attempt % 3 == 2) {
            case .stream(var open):
                do {
                    while let event = try await open.next() {
                        timing.heard(event.time)
                        if event.data["token"].string != nil { progress.count { $0.tokens += 1 } }
                        check.read(event)
                    }
                    last = "the stream ended without done"
                } catch {
                    last = "the stream broke: \(error)"
                }
                if check.done != nil {
                    // After these errors the service has stored nothing, so the client may retry.
                    guard check.error == "store_unavailable" || check.error == "events_gone" || check.error == "session_deleted" else {
                        return (.told(check), timing.ended())
                    }
                    last = "the step failed with \(check.error ?? "")"
                    check = StreamCheck()
                }
            case .again(let why):
                last = why
            case .limited(let wait):
                last = "429 rate_limited"
                progress.count { $0.refusals += 1 }
                // Not all clients at the same moment.
                try? await Task.sleep(for: wait + .milliseconds(Int.random(in: 0..<500)))
                continue
            case .refused(let status, let code):
                return (.refused(status: status, code: code), timing.ended())
            }
            progress.count { $0.retries += 1 }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 50...100) * min(attempt, 10)))
        }
        return (.gaveUp(last), timing.ended())
    }

    private enum Reply {
        case stream(OpenAnswer)
        case again(String)
        /// The account is at a limit.
        case limited(Duration)
        case refused(status: Int, code: String)
    }

    /// Sends the request once.
    ///
    /// - Parameter joins: Whether to resume with GET, as a viewer, if an event has arrived before.
    private func send(_ check: StreamCheck, joins: Bool) async -> Reply {
        var headers: [String: String] = [:]
        if let key { headers["Idempotency-Key"] = key }
        if let id = check.lastID { headers["Last-Event-ID"] = id }
        do {
            if joins, let id = check.lastID {
                let open = try await client.open("GET", "/agent/sessions/\(session)/stream", headers: ["Last-Event-ID": id])
                return open.status == 204 ? .again("204 before done") : await reply(open)
            }
            return await reply(try await client.open(body, headers: headers))
        } catch {
            return .again("\(error)")
        }
    }

    private func reply(_ open: OpenAnswer) async -> Reply {
        if open.status == 200 { return .stream(open) }
        var open = open
        let answer = try? await open.rest()
        let code = answer?.code ?? ""
        switch open.status {
        case 429 where hasLimits:
            // A refusal names the limit and the wait.
            guard code == "rate_limited", let wait = open.header("Retry-After").flatMap({ Int($0) }), wait >= 1,
                answer?.json["limit"].string != nil, answer?.json["retry_after"].int == wait, open.header("RateLimit") != nil,
                open.header("RateLimit-Policy") != nil
            else { return .refused(status: 429, code: "\(code), and not when to come again") }
            return .limited(.seconds(wait))
        case 408, 425, 429, 500...599: return .again("\(open.status) \(code)")
        // The session runs the step of another result of the same completion, or of this very
        // request.
        case 409 where code == "session_busy": return .again("409 \(code)")
        default: return .refused(status: open.status, code: code)
        }
    }
}

/// When a client received its events.
struct Timing: Sendable {
    let begun = ContinuousClock.now
    private(set) var firstEvent: Duration?
    /// The longest time between two events, the time before the first included.
    private(set) var longestSilence = Duration.zero
    private(set) var total = Duration.zero
    private var last = ContinuousClock.now

    mutating func heard(_ time: ContinuousClock.Instant) {
        if firstEvent == nil { firstEvent = begun.duration(to: time) }
        longestSilence = max(longestSilence, last.duration(to: time))
        last = time
    }

    func ended() -> Timing {
        var copy = self
        copy.longestSilence = max(longestSilence, last.duration(to: .now))
        copy.total = begun.duration(to: .now)
        return copy
    }
}
