import SessionStore

/// An event of a session's log with its id.
struct IdentifiedEvent: Sendable, Equatable {
    var id: EventID
    var event: TurnEvent
}
