import HTTPTypes
import HummingbirdTesting
import NIOCore
import TestSupport
import Testing

@testable import agent_server

/// A response names the members of the request's body that its endpoint does not know.
@Suite("Unknown members of a request body")
struct UnknownMemberTests {
    private func header(_ body: String, _ path: String = "/agent/message/stream") async throws -> String? {
        try await InProcess.router { try await $0.send(.post, path, body: body).headers[.unknownMembers] }
    }

    @Test(
        "A header names the unknown members",
        arguments: [
            (#"{"session_id":"s","message":{"content":"x"},"on_conflcit":"wait"}"#, "on_conflcit"),
            (#"{"session_id":"s","message":{"contnet":"x"},"on_conflcit":"wait"}"#, "message.contnet, on_conflcit"),
            (#"{"session_id":"s","mesage":{"content":"x"}}"#, "mesage"),
            (#"{"session_id":"s","message":{"type":"retry","replace":{"content":"x","x":1}}}"#, "message.replace.x"),
            (#"{"session_id":"s","message":{"content":"x"},"a":1,"a":null}"#, "a"),
            (#"{"session_id":"s","message":{"content":[{"type":"text","more":1}]},"metadata":{"any":1},"tools":[]}"#, nil),
            (#"{"session_id":"s","message":{"type":"tool_result","call_id":"c","result":{"any":1},"error":null,"content":null}}"#, nil),
            (#"{"session_id":"s","message":{"role":"system","content":"x","tool_name":null},"model":"m","expected_length":1}"#, nil),
            (#"{"session_id":"s","message":{"type":"user_message","content":""},"on_conflict":"wait","on_disconnect":"cancel"}"#, nil),
            ("nonsense", nil), ("[1]", nil), ("", nil),
        ] as [(String, String?)])
    func members(_ body: String, header: String?) async throws {
        #expect(try await self.header(body) == header)
    }

    @Test("Other endpoints name unknown members, too")
    func otherEndpoints() async throws {
        #expect(try await header(#"{"role":"user","content":"x","user":"u"}"#, "/agent/message/stream/legacy") == "user")
        #expect(try await header(#"{"stpe":7}"#, "/agent/sessions/s/cancel") == "stpe")
        #expect(try await header(#"{"history_length":1,"length":7}"#, "/agent/sessions/s/rewind") == "length")
        #expect(try await header(#"{"step":7}"#, "/agent/sessions/s/cancel") == nil)
    }

    /// Names are the client's own text: the server must not turn them into further headers.
    @Test("Names in the header are cleaned and bounded")
    func namesAreCleanedAndBounded() async throws {
        #expect(try await header("{\"a\\r\\nSet-Cookie: x=1\":\"s3cret\"}") == "a??Set-Cookie??x?1")
        #expect(try await header(#"{"ü, b":"s3cret"}"#) == "????b")
        let long = String(repeating: "n", count: 500)
        #expect(try await header("{\"\(long)\":1}") == String(repeating: "n", count: 64) + "...")
        let many = (0..<1000).map { "\"m\($0)\":1" }.joined(separator: ",")
        #expect(try await header("{\(many)}") == "m0, m1, m2, m3, m4, m5, m6, m7, ...")
        let eight = (0..<8).map { "\"m\($0)\":1" }.joined(separator: ",")
        #expect(try await header("{\(eight)}") == "m0, m1, m2, m3, m4, m5, m6, m7")
    }

    @Test("A large body is not searched")
    func aLargeBodyIsNotSearched() async throws {
        let text = String(repeating: "x", count: UnknownMembers.maximumBodyBytes)
        #expect(try await header("{\"session_id\":\"s\",\"message\":{\"content\":\"\(text)\"},\"x\":1}") == nil)
    }

    /// The contract lists exactly the members that the endpoints know.
    @Test("openapi.json has the members that the endpoints know")
    func theContractKnowsTheSameMembers() throws {
        let document = try JSON(String(decoding: PackageResources.openapi_json, as: UTF8.self))
        func resolved(_ schema: JSON) -> JSON {
            guard let name = schema["$ref"].string?.split(separator: "/").last else { return schema }
            return document["components"]["schemas"][String(name)]
        }
        func members(_ schema: JSON, under path: String) -> Set<String> {
            let schema = resolved(schema)
            var found: Set<String> = []
            for (name, member) in schema["properties"].object {
                found.insert(path + name)
                // The server does not check the members of tools, metadata and content parts.
                if path.isEmpty ? name == "message" : name == "replace" {
                    found.formUnion(members(member, under: "\(path)\(name)."))
                }
            }
            for variant in schema["oneOf"].array + schema["anyOf"].array { found.formUnion(members(variant, under: path)) }
            return found
        }
        for endpoint in Endpoint.allCases {
            let operation = document["paths"][endpoint.path][endpoint.method.rawValue.lowercased()]
            let schema = operation["requestBody"]["content"]["application/json"]["schema"]
            #expect(members(schema, under: "") == endpoint.members, "\(endpoint)")
        }
    }
}
