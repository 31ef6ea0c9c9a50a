"""The gRPC front: moves bytes, keeps state, schedules work; decides nothing about scores."""
