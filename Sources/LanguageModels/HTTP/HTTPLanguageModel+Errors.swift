import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import TransportSecurity

extension HTTPLanguageModel {
    /// Returns whether the error says that the other side is gone.
    static func isConnectionLoss(_ error: any Error) -> Bool {
        switch error {
        case let error as HTTPClientError: error == .remoteConnectionClosed
        case is IOError: true
        case ChannelError.ioOnClosedChannel, ChannelError.eof, ChannelError.inputClosed, ChannelError.outputClosed: true
        default: false
        }
    }

    /// Returns any error as an ``LLMError``, without keys.
    func describe(_ error: any Error) -> LLMError {
        var described = (error as? LLMError) ?? Self.transportError(error)
        described.message = configuration.redacted(described.message)
        described.upstreamCode = described.upstreamCode.map { configuration.redacted($0) }
        return described
    }

    private static func transportError(_ error: any Error) -> LLMError {
        if let reason = TLSFailure.describe(error) {
            return LLMError(.unavailable, "The connection to the model's server failed: \(reason).")
        }
        return switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .getConnectionFromPoolTimeout:
                LLMError(.unavailable, "The model's server could not be connected to in time.")
            case .readTimeout, .writeTimeout, .deadlineExceeded:
                LLMError(.timeout, "The model's server did not answer in time.")
            case .remoteConnectionClosed:
                LLMError(.unavailable, "The model's server closed the connection before it had finished.")
            case .alreadyShutdown, .cancelled:
                LLMError(.unavailable, "The connection to the model was shut down.")
            default:
                LLMError(.unavailable, "The request to the model failed: \(error.shortDescription).")
            }
        case HTTPParserError.invalidEOFState:
            // The body ended before its length, or before its last chunk.
            LLMError(.unavailable, "The model's server closed the connection before it had finished.")
        case is HTTPParserError:
            LLMError(.invalidResponse, "The model's server does not speak HTTP.")
        case let error as IOError:
            LLMError(.unavailable, "The connection to the model's server failed: \(error.description).")
        default:
            LLMError(.unavailable, "The model's server cannot be reached: \(type(of: error)).")
        }
    }
}
