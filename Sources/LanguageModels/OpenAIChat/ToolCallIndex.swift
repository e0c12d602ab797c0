/// Finds the tool call that a fragment belongs to, whatever a server writes as `index` and `id`.
///
/// Calls are numbered from 0 in the order in which they first appear. Some servers give every call
/// the index 0, every fragment a new id, or neither. So the arguments count as well: a fragment
/// with a name begins a new call if the arguments of the current call are a whole JSON value, and
/// continues that call if they are not.
struct ToolCallIndex: Sendable {
    /// What a server sends of a call.
    struct Fragment {
        /// The server's own number; nil if it sends none.
        var upstream: Int?
        /// Its index in the chunk's list, which replaces a missing number.
        var position = 0
        /// Not empty.
        var id: String?
        /// Not empty.
        var name: String?
        var arguments = ""

        fileprivate var startsObject: Bool { arguments.first { !$0.isWhitespace } == "{" }
        fileprivate var hasArguments: Bool { arguments.contains { !$0.isWhitespace } }
    }

    /// A fragment with the number of its call, and with those of the call's members that are new.
    struct Placed {
        var index: Int
        var id: String?
        var name: String?
        var arguments: String

        var isNews: Bool { id != nil || name != nil || !arguments.isEmpty }
    }

    private struct Call {
        var upstream: Int?
        var id: String?
        var name: String?
        var arguments = CallArguments()
        var isFunctionCall = false
        /// Whether the server gives the fragments of one call different ids.
        var hasChangingIDs = false
        /// Whether the name came once more behind whole arguments: an object that follows is the
        /// next call's.
        var isNextAnnounced = false
    }

    /// What a fragment is to the call that it could belong to.
    private enum Relation { case more, repetition, next }

    private let limit: Int
    private var calls: [Call] = []

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { calls.count }

    /// Finds the call of a fragment, and adds the fragment to it.
    mutating func place(_ fragment: Fragment) throws(LLMError) -> Placed {
        guard let known = candidate(for: fragment) else {
            return take(fragment, into: try append(Call(upstream: fragment.upstream)))
        }
        switch relation(of: fragment, to: calls[known]) {
        case .more: return take(fragment, into: known)
        case .repetition: return Placed(index: known, arguments: "")
        case .next:
            var next = fragment
            next.name = fragment.name ?? calls[known].name
            return take(next, into: try append(Call(upstream: fragment.upstream)))
        }
    }

    /// Adds a piece to the only call that the retired `function_call` can make.
    mutating func placeFunctionCall(name: String?, arguments: String) throws(LLMError) -> Placed {
        let fragment = Fragment(name: name, arguments: arguments)
        if let known = calls.firstIndex(where: \.isFunctionCall) { return take(fragment, into: known) }
        return take(fragment, into: try append(Call(isFunctionCall: true)))
    }

    // MARK: Which call

    private func candidate(for fragment: Fragment) -> Int? {
        let isBare = fragment.id == nil && fragment.name == nil
        guard let upstream = fragment.upstream else {
            if let id = fragment.id, let known = calls.lastIndex(where: { $0.id == id }) { return known }
            if isBare { return calls.indices.last }
            let position = fragment.position
            if position < calls.count, calls[position].id == nil, calls[position].name == nil { return position }
            guard let last = calls.last, last.name == fragment.name, last.arguments.state == .open else { return nil }
            return calls.count - 1
        }
        if let id = fragment.id, let known = calls.lastIndex(where: { $0.upstream == upstream && $0.id == id }) { return known }
        if let known = calls.lastIndex(where: { $0.upstream == upstream }) { return known }
        // A server that counts fragments instead of calls.
        if isBare { return calls.indices.last }
        return calls.lastIndex { $0.id != nil && $0.id == fragment.id && $0.arguments.state == .open }
    }

    private func relation(of fragment: Fragment, to call: Call) -> Relation {
        guard let name = fragment.name else {
            guard call.isNextAnnounced, fragment.startsObject else { return .more }
            return CallArguments(fragment.arguments) == call.arguments ? .repetition : .next
        }
        let isOtherName = call.name != nil && call.name != name
        let isOtherID = call.id != nil && fragment.id != nil && call.id != fragment.id
        switch call.arguments.state {
        case .none:
            // Under the same id it is a piece of the name. Two calls without arguments have two
            // ids.
            return isOtherID && call.name != nil && (isOtherName || !fragment.hasArguments) ? .next : .more
        case .open:
            return isOtherID && isOtherName ? .next : .more
        case .whole:
            return relation(of: fragment, toWhole: call, isOtherName: isOtherName, isOtherID: isOtherID)
        }
    }

    /// Returns the relation for a name that has come again, after the call's whole arguments.
    private func relation(of fragment: Fragment, toWhole call: Call, isOtherName: Bool, isOtherID: Bool) -> Relation {
        guard call.name != nil else { return .more }
        guard fragment.hasArguments else {
            return isOtherName || isOtherID && !call.hasChangingIDs ? .next : .more
        }
        guard fragment.startsObject else { return .more }
        if isOtherID && !call.hasChangingIDs || isOtherName { return .next }
        if CallArguments(fragment.arguments) == call.arguments { return .repetition }
        // Some servers send `{}` before the arguments, under the call's own id.
        return call.arguments.isEmptyObject && fragment.id != nil && fragment.id == call.id ? .more : .next
    }

    // MARK: What is new

    private mutating func take(_ fragment: Fragment, into index: Int) -> Placed {
        var placed = Placed(index: index, arguments: fragment.arguments)
        guard calls.indices.contains(index) else { return placed }
        if let id = fragment.id {
            if calls[index].id == nil {
                calls[index].id = id
                placed.id = id
            } else if calls[index].id != id {
                calls[index].hasChangingIDs = true
            }
        }
        if let name = fragment.name { placed.name = takeName(name, into: index, hasArguments: fragment.hasArguments) }
        calls[index].arguments.append(fragment.arguments)
        return placed
    }

    /// Returns the piece of the name that is new: all of it, the part behind the earlier pieces, or
    /// none.
    private mutating func takeName(_ name: String, into index: Int, hasArguments: Bool) -> String? {
        guard let known = calls[index].name else {
            calls[index].name = name
            return name
        }
        if calls[index].arguments.state != .none {
            calls[index].isNextAnnounced = calls[index].arguments.state == .whole && !hasArguments
            return nil
        }
        if known == name { return nil }
        let piece = name.hasPrefix(known) ? String(name.dropFirst(known.count)) : name
        calls[index].name = known + piece
        return piece
    }

    private mutating func append(_ call: Call) throws(LLMError) -> Int {
        guard calls.count < limit else { throw LLMError(.invalidResponse, "The model made more than \(limit) tool calls.") }
        calls.append(call)
        return calls.count - 1
    }
}
