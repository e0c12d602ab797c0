import NIOCore
import SessionStore

/// The calls of an answer as they are stored: each with an id of its own and a JSON object.
extension StepStateMachine {
    /// Whether every call has arguments that are a JSON object: none is cut, and none is yet to begin.
    var hasWholeArguments: Bool {
        calls.values.allSatisfy { !ToolArguments.isBlank($0.arguments) && ToolArguments.object(in: $0.arguments) != nil }
    }

    func normalizedCalls(isUsed: (String) -> Bool, makeID: () -> String) -> [ToolCall] {
        var ids: Set<String> = []
        return calls.sorted { $0.key < $1.key }.map { _, call in
            var id = call.id
            // Some models repeat `call_0` in every answer, some send no id at all.
            while id.isEmpty || id.utf8.count > ToolCall.maximumStoredIDLength || ids.contains(id) || isUsed(id) { id = makeID() }
            ids.insert(id)
            let arguments = ToolArguments.object(in: call.arguments)
            guard ToolName.isAccepted(call.name) || call.name.isEmpty else {
                return ToolCall(
                    id: id, name: ToolName.cleaned(call.name), arguments: arguments ?? ToolArguments.none, unknownName: call.name)
            }
            guard let arguments else {
                return ToolCall(id: id, name: call.name, arguments: ToolArguments.none, invalidArguments: call.arguments)
            }
            return ToolCall(id: id, name: call.name, arguments: arguments)
        }
    }
}
