import LanguageModels
import NIOCore
import SessionStore

/// The calls of a completion as Redis stores them: each with an id of its own and a JSON object.
extension StepStateMachine {
    /// Whether the arguments of every call are a whole JSON object.
    var hasWholeArguments: Bool {
        calls.values.allSatisfy { !ToolArguments.isBlank($0.arguments) && ToolArguments.object(in: $0.arguments) != nil }
    }

    func normalizedCalls(isUsed: (String) -> Bool, makeID: () -> String) -> [ToolCall] {
        var ids: Set<String> = []
        return calls.sorted { $0.key < $1.key }.map { index, call in
            var id = call.id
            // Some models repeat `call_0` in every completion, some send no id at all.
            while !CallID.isAccepted(id) || ids.contains(id) || isUsed(id) { id = makeID() }
            ids.insert(id)
            // The model gets its own id back, unless that would name two calls.
            let isOriginal = id != call.id && !call.id.isEmpty && call.id.utf8.count <= CallID.maximumOriginalBytes
            let originalID = isOriginal && !isUsed(call.id) && ids.insert(call.id).inserted ? call.id : nil
            let arguments = ToolArguments.object(in: call.arguments)
            var asked = ToolCall(
                id: id, originalID: originalID, index: index, name: call.name, arguments: arguments ?? ToolArguments.none)
            if !ToolName.isAccepted(call.name), !call.name.isEmpty {
                asked.name = ToolName.cleaned(call.name)
                asked.unknownName = call.name
            } else if arguments == nil {
                asked.invalidArguments = call.arguments
            }
            return asked
        }
    }

    /// Returns the reasoning beside a completion with these calls.
    func reasoning(beside asked: [ToolCall]) -> ReasoningEntry {
        var entry = ReasoningEntry(fields: trace?.fields ?? [])
        for call in asked {
            let members = trace?.calls[call.index] ?? []
            guard call.originalID != nil || !members.isEmpty else { continue }
            entry.calls.append(ReasoningEntry.Call(id: call.id, originalID: call.originalID, members: members))
        }
        return entry
    }
}
