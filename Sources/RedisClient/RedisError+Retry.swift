extension RedisError {
    /// Whether the server does not have the key, or not yet: Sentinel or the Cluster has moved it,
    /// or is about to.
    package var isOfTopology: Bool {
        switch code {
        case .readOnly, .masterDown, .clusterDown, .tryAgain, .moved, .ask: true
        default: false
        }
    }

    /// Whether the same command may succeed soon.
    public var isTransient: Bool {
        switch code {
        case .connectionFailed, .connectionLost, .timeout, .loading, .readOnly, .masterDown, .clusterDown, .tryAgain, .moved, .ask,
            .noReplicas, .busy, .overloaded, .outOfMemory, .writesRefused:
            true
        default:
            false
        }
    }
}
