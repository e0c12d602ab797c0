import Foundation
import NIOCore
import TestSupport

@testable import LocalDeployment

/// An assistant's message with all its members, as a client that knows no personality reads it from
/// a stream. It does not use code of the tested server, so that a test can compare the two.
struct SentMessage {
    var members: [String: JSON] = ["role": "assistant"]
    var calls: [[String: JSON]] = []
    var text = ""
    var finish: String?
    var hasUsage = false
    var isMarked = false

    init(_ answer: UpstreamAnswer) throws {
        var bytes = ByteBuffer()
        for case .bytes(let part) in answer.parts { bytes.writeImmutableBuffer(part) }
        for event in String(buffer: bytes).components(separatedBy: "\n\n") where event.hasPrefix("data: ") {
            let data = String(event.dropFirst("data: ".count))
            if data == "[DONE]" {
                isMarked = true
            } else {
                read(try JSON(data))
            }
        }
        members["content"] = text.isEmpty && !calls.isEmpty ? nil : .string(text)
        if !calls.isEmpty { members["tool_calls"] = .array(calls.map { .object($0) }) }
    }

    var message: JSON { .object(members) }

    private mutating func read(_ chunk: JSON) {
        if chunk["usage"]["prompt_tokens"].int != nil { hasUsage = true }
        let choice = chunk["choices"][0]
        finish = choice["finish_reason"].string ?? finish
        for (name, value) in choice["delta"].object {
            switch name {
            case "role": break
            case "content": text += value.string ?? value.array.compactMap { $0["text"].string }.joined()
            case "tool_calls": for call in value.array { add(call) }
            case "reasoning_details": for detail in value.array { add(detail: detail) }
            default: if let piece = value.string { members[name] = .string((members[name]?.string ?? "") + piece) }
            }
        }
    }

    /// A fragment with a name begins a call. Other fragments belong to the last call with the same
    /// index.
    private mutating func add(_ fragment: JSON) {
        let arguments = fragment["function"]["arguments"].string ?? ""
        if let name = fragment["function"]["name"].string {
            var call = fragment.object
            call["function"] = ["name": .string(name), "arguments": .string(arguments)]
            calls.append(call)
        } else if let place = calls.lastIndex(where: { $0["index"] == fragment["index"] }), let function = calls[place]["function"] {
            calls[place]["function"] = [
                "name": function["name"], "arguments": .string((function["arguments"].string ?? "") + arguments),
            ]
        }
    }

    /// Pieces with the same index form one detail: their texts are joined, and other members are
    /// replaced.
    private mutating func add(detail: JSON) {
        var details = members["reasoning_details"]?.array ?? []
        if let place = details.firstIndex(where: { $0["index"] == detail["index"] }) {
            let text = (details[place]["text"].string ?? "") + (detail["text"].string ?? "")
            details[place] = .object(details[place].object.merging(detail.object) { $1 }.merging(["text": .string(text)]) { $1 })
        } else {
            details.append(detail)
        }
        members["reasoning_details"] = .array(details)
    }

    /// Returns the message as a client stores it: without stream indexes, and with an id for each
    /// call that the server sent without an id.
    func stored(round: Int) -> JSON {
        var copy = members
        if !calls.isEmpty {
            copy["tool_calls"] = .array(
                calls.enumerated().map { number, call in
                    var call = call
                    call["index"] = nil
                    if call["id"] == "" { call["id"] = .string("made\(round)up\(number)") }
                    return .object(call)
                })
        }
        return .object(copy)
    }
}
