import SessionStore

extension EventID {
    /// Reads `Last-Event-ID`; nil if it is absent, or empty as a browser sends it before the first
    /// event.
    init?(header: String?) throws(RequestError) {
        guard let header, !header.isEmpty else { return nil }
        guard let id = EventID(header) else { throw RequestError("Last-Event-ID must be the id of an event of this server") }
        self = id
    }
}
