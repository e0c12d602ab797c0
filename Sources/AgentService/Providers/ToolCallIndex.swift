/// Tells which tool call a fragment belongs to, whatever a server makes of `index` and `id`.
///
/// Calls are numbered from 0 in the order in which they first appear.
struct ToolCallIndex: Sendable {
    private struct Call {
        /// The server's own number; nil where it sends none.
        var upstream: Int?
        var id: String?
        var isNamed = false
        var isFunctionCall = false
    }

    private let limit: Int
    private var calls: [Call] = []

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { calls.count }

    /// The number of the call that a fragment belongs to.
    /// - Parameters:
    ///   - upstream: The fragment's `index`.
    ///   - position: Its place in the chunk's list, which stands for a missing index.
    ///   - id: Its `id`, if it is not empty.
    ///   - hasName: Whether it carries a function's name.
    mutating func index(upstream: Int?, position: Int, id: String?, hasName: Bool) throws(LLMError) -> Int {
        if let upstream {
            guard let known = calls.lastIndex(where: { $0.upstream == upstream }) else { return try append(Call(upstream: upstream)) }
            // Some servers give every call the index 0. Others give every fragment a new id, but do not repeat the name.
            if let id, let knownID = calls[known].id, id != knownID {
                if let other = calls.firstIndex(where: { $0.upstream == upstream && $0.id == id }) { return other }
                if hasName { return try append(Call(upstream: upstream)) }
            }
            return known
        }
        if let id, let known = calls.firstIndex(where: { $0.id == id }) { return known }
        if id == nil, !hasName, let last = calls.indices.last { return last }
        let isFree = position >= calls.count || (calls[position].id == nil && !calls[position].isNamed)
        return isFree && position < calls.count ? position : try append(Call())
    }

    /// The number of the only call that the retired `function_call` can make.
    mutating func indexOfFunctionCall() throws(LLMError) -> Int {
        if let known = calls.firstIndex(where: \.isFunctionCall) { return known }
        return try append(Call(isFunctionCall: true))
    }

    /// What of `id` and `name` is new for the call, and remembers it.
    mutating func announce(_ index: Int, id: String?, name: String?) -> (id: String?, name: String?) {
        guard calls.indices.contains(index) else { return (id, name) }
        let new = (id: calls[index].id == nil ? id : nil, name: calls[index].isNamed ? nil : name)
        if let id = new.id { calls[index].id = id }
        if new.name != nil { calls[index].isNamed = true }
        return new
    }

    private mutating func append(_ call: Call) throws(LLMError) -> Int {
        guard calls.count < limit else { throw LLMError(.invalidResponse, "The model made more than \(limit) tool calls.") }
        calls.append(call)
        return calls.count - 1
    }
}
