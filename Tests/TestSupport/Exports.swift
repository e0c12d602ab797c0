// What is started and talked to is the same for tests and for drills.
@_exported public import LocalDeployment
