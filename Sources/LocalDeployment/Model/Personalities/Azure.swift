/// Azure OpenAI sends the findings of its content filters, first in a chunk without choices and
/// then in each choice. The address of a deployment needs a version in its query; the newer
/// addresses do not.
struct Azure: Dialect {
    static let version = "2024-10-21"

    func isReached(at path: String) -> Bool {
        path == "/openai/v1/chat/completions" || isDeployment(path)
    }

    private func isDeployment(_ path: String) -> Bool {
        path.wholeMatch(of: /\/openai\/deployments\/[^\/]+\/chat\/completions/) != nil
    }

    private static let findings: JSON = .object(
        Dictionary(
            uniqueKeysWithValues: ["hate", "self_harm", "sexual", "violence"].map {
                ($0, ["filtered": false, "severity": "safe"])
            }))

    func refusal(of request: UpstreamRequest) -> Refusal? {
        guard isDeployment(request.path) else { return nil }
        let parameters = (request.query ?? "").split(separator: "&")
        guard parameters.contains(where: { $0.hasPrefix("api-version=") && !$0.hasSuffix("=") }) else {
            return Refusal("Missing required query parameter: api-version", status: 404, member: "api-version")
        }
        return nil
    }

    func begin(_ answer: inout UpstreamAnswer) {
        let chunk: JSON = [
            "id": "", "object": "", "created": 0, "model": "", "choices": [],
            "prompt_filter_results": [["prompt_index": 0, "content_filter_results": Self.findings]],
        ]
        answer.add(event: chunk.text)
    }

    func choice(delta: JSON, finish: String?) -> JSON {
        [
            "index": 0, "delta": delta, "finish_reason": finish.map { .string($0) } ?? .null, "logprobs": nil,
            "content_filter_results": delta.object["content"] == nil ? [:] : Self.findings,
        ]
    }

    func answer(_ refusal: Refusal) -> UpstreamAnswer {
        .json(refusal.status, ["error": ["code": .string("\(refusal.status)"), "message": .string(refusal.message)]])
    }
}
