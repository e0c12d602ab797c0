/// The reason why a model server refuses a request.
public struct Refusal: Sendable, Equatable {
    public var status: Int
    public var message: String
    /// The member of the request that is at fault, if the server names it.
    public var member: String?

    init(_ message: String, status: Int = 400, member: String? = nil) {
        (self.status, self.message, self.member) = (status, message, member)
    }
}
