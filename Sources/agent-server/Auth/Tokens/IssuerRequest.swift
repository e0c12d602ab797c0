import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TransportSecurity

/// The request for the issuer's set of keys.
struct IssuerRequest: Sendable {
    /// How long the request may take, its body included.
    private static let patience = TimeAmount.seconds(10)
    private static let connectPatience = TimeAmount.seconds(5)

    let url: String
    let group: any EventLoopGroup

    /// Returns the response's body. Follows no redirection: only the operator says where the keys are.
    ///
    /// - Throws: ``CredentialFileError`` for a request that fails, or a response that is not one.
    func body() async throws(CredentialFileError) -> ByteBuffer {
        let deadline = NIODeadline.now() + Self.patience
        // One request in ten minutes: no connection waits for the next one.
        let client = HTTPClient(eventLoopGroup: group, configuration: configuration)
        let result: Result<ByteBuffer, CredentialFileError>
        do {
            var request = HTTPClientRequest(url: url)
            request.headers.add(name: "Accept", value: "application/jwk-set+json, application/json")
            let response = try await client.execute(request, deadline: deadline)
            if response.status == .ok {
                result = .success(try await response.body.collect(upTo: IssuerKeys.maximumBytes))
            } else {
                result = .failure(CredentialFileError("the issuer's response has the status \(response.status.code)"))
            }
        } catch is NIOTooManyBytesError {
            result = .failure(CredentialFileError("the issuer's response has more than \(IssuerKeys.maximumBytes) bytes"))
        } catch {
            result = .failure(CredentialFileError("the issuer cannot be reached: \(error)"))
        }
        try? await client.shutdown()
        return try result.get()
    }

    private var configuration: HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: Self.connectPatience), decompression: .disabled)
        configuration.httpVersion = .http1Only
        configuration.http1_1ConnectionDebugInitializer = { channel in
            channel.eventLoop.makeCompletedFuture { try IssuerResponseGuard.add(to: channel) }
        }
        if let tls = try? TLSFiles().clientConfiguration() { configuration.tlsConfiguration = tls }
        return configuration
    }
}
